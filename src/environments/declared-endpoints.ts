/** Webhook endpoints in the document of an environment (S7): named by their URLs, those of the settings' two left to the settings. */
import type { Db } from '../store/database.ts';
import type { WebhookEndpointRow } from '../store/schema.ts';
import * as rows from '../store/webhook-endpoints.ts';
import { eventKinds } from '../webhooks/event-kinds.ts';
import { mostEndpoints } from '../webhooks/most-endpoints.ts';
import type { ConfigPlan } from './config-plan.ts';
import { changeEndpoint, createEndpoint, type EndpointContext, type EndpointFields } from './webhook-endpoints.ts';

/** Whether one is enabled is a matter of the day, not of its configuration. */
export type DeclaredEndpoint = Omit<EndpointFields, 'enabled'>;

const declarable = ({ url, description, events, follow_redirects, own_signing_key }: WebhookEndpointRow): DeclaredEndpoint => ({
    url,
    description,
    events: eventKinds.filter((kind) => events.includes(kind)),
    follow_redirects,
    own_signing_key,
});

/** Of several with one URL the oldest. */
async function storedEndpoints(db: Db, environmentId: string): Promise<Map<string, WebhookEndpointRow>> {
    const all = (await rows.list(db, environmentId, mostEndpoints)).filter(({ role }) => role === null);
    return new Map(all.toReversed().map((row) => [row.url, row]));
}

export const exportEndpoints = async (db: Db, environmentId: string): Promise<DeclaredEndpoint[]> =>
    [...(await storedEndpoints(db, environmentId)).values()].toReversed().map(declarable);

/** Call it in the transaction that locked the environment. What is not declared stays. */
export async function planEndpoints(
    db: Db,
    context: EndpointContext,
    plan: ConfigPlan,
    environmentId: string,
    declared: readonly DeclaredEndpoint[],
): Promise<void> {
    const stored = await storedEndpoints(db, environmentId);
    for (const wanted of declared) {
        const row = stored.get(wanted.url);
        if (plan.differs(['webhooks', 'endpoints', wanted.url], row && declarable(row), wanted)) {
            const { url: _its, ...fields } = wanted;
            plan.step(() =>
                row === undefined
                    ? createEndpoint(db, context, environmentId, { ...wanted, enabled: true })
                    : changeEndpoint(db, context, environmentId, row.id, fields),
            );
        }
    }
}
