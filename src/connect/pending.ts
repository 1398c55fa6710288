/**
 * Connections whose account exists while its credentials do not yet: an installation that waits for an approval, or for the
 * vendor's side to begin it (auth-modes §4.3, §12.2). What completes them is the provider's webhook, `installation-webhook.ts`;
 * after a week nobody waits any more.
 */
import type { Kysely } from 'kysely';
import type { Sources } from '../sources.ts';
import * as connections from '../store/connections.ts';
import type { Db } from '../store/database.ts';
import * as installations from '../store/installations.ts';
import * as operations from '../store/operations.ts';
import type { ConnectionRow, IntegrationRow, Schema } from '../store/schema.ts';

const pendingLifetimeMs = 7 * 24 * 3600 * 1000;

/** How the configuration says so (§2.5): the operation is the one that completes it. */
export const pendingConfig = (operationId: string): Record<string, unknown> => ({ pending: true, pendingLog: operationId });

/** Laid over a configuration, takes it back. */
export const settledConfig: Record<string, unknown> = { pending: undefined, pendingLog: undefined };

/** The operation that waits for the installation. */
export const openPending = (
    db: Db,
    id: string,
    integration: Pick<IntegrationRow, 'id' | 'environment_id'>,
    row: Pick<ConnectionRow, 'id' | 'connection_id'>,
    at: Date,
): Promise<void> =>
    operations.open(db, {
        id,
        environment_id: integration.environment_id,
        type: 'auth',
        action: 'create_connection',
        state: 'waiting',
        level: 'info',
        message: 'Waiting for the provider to confirm the installation',
        integration_id: integration.id,
        connection_row_id: row.id,
        connection_id: row.connection_id,
        error: null,
        meta: null,
        created_at: at,
        ended_at: null,
        expires_at: new Date(at.getTime() + pendingLifetimeMs),
    });

/** The operation that a connection waited with, when nothing is waited for any more: it was deleted, or connected in another way. */
export async function stopWaiting(db: Db, row: Pick<ConnectionRow, 'connection_config'> | undefined, why: string, at: Date): Promise<void> {
    const operationId = row?.connection_config['pendingLog'];
    if (typeof operationId === 'string') {
        await operations.cancel(db, operationId, why, at);
    }
}

/** Ends what has waited for a week: without credentials of its own, a connection is deleted. */
export async function expirePending({ db, sources }: { db: Kysely<Schema>; sources: Sources }): Promise<void> {
    const at = new Date(sources.now());
    await db.transaction().execute(async (transaction) => {
        const overdue = await installations.lockOverdue(transaction, new Date(at.getTime() - pendingLifetimeMs));
        const idsOf = (rows: typeof overdue): string[] => rows.map(({ id }) => id);
        await connections.removeByIds(transaction, idsOf(overdue.filter((row) => row.auth_state === 'pending')), at);
        await installations.stopWaiting(transaction, idsOf(overdue.filter((row) => row.auth_state !== 'pending')), at);
        for (const { connection_config: config } of overdue) {
            const operationId = config['pendingLog'];
            if (typeof operationId === 'string') {
                await operations.end(transaction, operationId, {
                    state: 'timeout',
                    message: 'The provider confirmed no installation within a week',
                    at,
                });
            }
        }
    });
}
