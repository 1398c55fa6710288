/** Sending events again (W10): as new deliveries with the same event id, to where their destination is today. */
import type { Kysely } from 'kysely';
import { newRowId, type Sources } from '../sources.ts';
import type { Schema } from '../store/schema.ts';
import { newOperationId } from '../store/operations.ts';
import * as deliveries from '../store/webhook-deliveries.ts';
import type { DeliveryFilter } from '../store/webhook-deliveries.ts';
import { currentTargets, targetOf } from './destinations.ts';

export interface Redelivered {
    /** Of the new deliveries. */
    ids: string[];
    /** Deliveries whose destination has no URL any more, or is disabled. */
    skipped: number;
    /** The last delivery that was looked at, when there may be more. */
    end: string | undefined;
}

/** @param limit deliveries that are looked at */
export async function redeliver(db: Kysely<Schema>, sources: Sources, filter: DeliveryFilter, limit: number, before?: string): Promise<Redelivered> {
    return db.transaction().execute(async (transaction) => {
        const found = await deliveries.lockRepeatable(transaction, filter, limit, before);
        const notRepeated = await deliveries.notRepeated(transaction, found);
        const repeatable = found.filter(({ id }) => notRepeated.has(id));
        const targets = await currentTargets(transaction, filter.environmentId);
        const operations = new Map<string, string>();
        const again = repeatable.flatMap((delivery) => {
            const target = delivery.destination === 'override' ? { id: null, url: delivery.url } : targetOf(targets, delivery);
            if (target === undefined) {
                return [];
            }
            const operation = operations.get(delivery.event_id) ?? newOperationId(sources);
            operations.set(delivery.event_id, operation);
            return [{ id: newRowId(sources), of: delivery.id, endpoint_id: target.id, url: target.url, operation_id: operation }];
        });
        if (again.length > 0) {
            await deliveries.repeat(transaction, again, new Date(sources.now()));
        }
        return {
            ids: again.map(({ id }) => id),
            skipped: repeatable.length - again.length,
            end: found.length === limit ? found.at(-1)!.id : undefined,
        };
    });
}
