/**
 * Operations in the order in which they were last written (O2's stream), by the transaction that wrote them: the order of
 * `transaction-horizon.ts`. One that changes again moves to its new place, so a reader gets the latest of each, and each at least once.
 */
import { sql } from 'kysely';
import type { Db } from './database.ts';
import type { ListedOperation } from './operation-listing.ts';
import type { Horizon } from './transaction-horizon.ts';

/** Everything up to here was read: of this transaction, the operations with ids up to this one. */
export interface Place {
    xid: bigint;
    /** `''`: none of them yet. */
    id: string;
}

export interface Changes {
    /** Each with its own place. */
    operations: (ListedOperation & { place: Place })[];
    /** Where to go on. */
    end: Place;
    isAll: boolean;
}

/** Routine renewals, of level `debug`, are not among them: they are nearly all there is, and nothing to look at as it happens. */
export async function changesAfter(db: Db, environmentId: string, from: Place, horizon: Horizon, limit: number): Promise<Changes> {
    const { rows } = await sql<ListedOperation & { written_by: string }>`
        select o.*, o.xid::text as written_by, i.unique_key as integration_key, i.provider
        from (select * from operations
              where environment_id = ${environmentId} and level <> 'debug'
                and (xid, id) > (${String(from.xid)}::xid8, ${from.id}) and xid < ${String(horizon.xid)}::xid8
              order by xid, id limit ${limit}) o
        left join integrations i on i.id = o.integration_id
        order by o.xid, o.id`.execute(db);
    const operations = rows.map((row) => ({ ...row, place: { xid: BigInt(row.written_by), id: row.id } }));
    const isAll = operations.length < limit;
    const last = operations.at(-1)?.place ?? from;
    return { operations, end: isAll && horizon.xid > last.xid ? { xid: horizon.xid, id: '' } : last, isAll };
}
