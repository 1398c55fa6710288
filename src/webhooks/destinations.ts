/** Where an environment's webhooks go today. */
import type { Db } from '../store/database.ts';
import type { WebhookDeliveryRow, WebhookEndpointRow } from '../store/schema.ts';
import * as endpoints from '../store/webhook-endpoints.ts';
import { mostEndpoints } from './most-endpoints.ts';

export type Target = Pick<WebhookEndpointRow, 'id' | 'role' | 'url' | 'follow_redirects' | 'own_signing_key'>;

/** Those that are not disabled. */
export async function currentTargets(db: Db, environmentId: string): Promise<Target[]> {
    return (await endpoints.list(db, environmentId, mostEndpoints)).filter(({ disabled_at }) => disabled_at === null);
}

/** A role is what a delivery is meant for, whatever endpoint has it now; the others are themselves. */
export const targetOf = (
    targets: readonly Target[],
    { destination, endpoint_id }: Pick<WebhookDeliveryRow, 'destination' | 'endpoint_id'>,
): Target | undefined => targets.find(({ id, role }) => (destination === 'endpoint' ? id === endpoint_id : role === destination));
