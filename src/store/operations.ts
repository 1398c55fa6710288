/** The operation log: what was attempted on a connection and how it ended. Never holds a secret. */
import { json, type Db } from './database.ts';
import type { NewOperation, OperationRow } from './schema.ts';
import type { Sources } from '../sources.ts';

/** `<epoch ms>_<8 characters>`: sortable and unguessable enough to be a reference in answers. */
export const newOperationId = (sources: Sources): string => `${sources.now()}_${sources.random(4).toString('hex')}`;

export async function open(db: Db, operation: NewOperation): Promise<void> {
    await db.insertInto('operations').values(operation).execute();
}

/** Of an operation that nobody has ended. */
export const openStates = ['waiting', 'running'] as const satisfies readonly OperationRow['state'][];

export const cancellation = (message: string, at: Date) => ({ state: 'cancelled' as const, message, ended_at: at });

/** Ends an operation that nobody has ended: what it waited for will not come. */
export async function cancel(db: Db, id: string, message: string, at: Date): Promise<void> {
    await db
        .updateTable('operations')
        .set(cancellation(message, at))
        .where('id', '=', id)
        .where('state', 'in', [...openStates])
        .execute();
}

export interface OperationEnd {
    state: Extract<OperationRow['state'], 'success' | 'failed' | 'cancelled' | 'timeout'>;
    message: string;
    /** Default: by its state. */
    level?: OperationRow['level'];
    error?: { type: string; message: string };
    connectionRowId?: string;
    connectionId?: string;
    integrationId?: string;
    at: Date;
}

export async function end(db: Db, id: string, ending: OperationEnd): Promise<void> {
    await db
        .updateTable('operations')
        .set({
            state: ending.state,
            level: ending.level ?? (ending.state === 'success' ? 'info' : 'error'),
            message: ending.message,
            ended_at: ending.at,
            ...(ending.error ? { error: json(ending.error) } : {}),
            ...(ending.connectionRowId ? { connection_row_id: ending.connectionRowId } : {}),
            ...(ending.connectionId ? { connection_id: ending.connectionId } : {}),
            ...(ending.integrationId ? { integration_id: ending.integrationId } : {}),
        })
        .where('id', '=', id)
        .execute();
}

/** What became known of operations after they ended. */
export async function amend(
    db: Db,
    ids: readonly string[],
    change: Pick<OperationRow, 'level' | 'message'> & { meta: Record<string, unknown> },
): Promise<void> {
    await db
        .updateTable('operations')
        .set({ ...change, meta: json(change.meta) })
        .where('id', 'in', [...ids])
        .execute();
}
