/** Deletion: the credentials are shredded and the id is free at once; the provider is told afterwards (E7, http-api §8.6). */
import type { Kysely } from 'kysely';
import type { Catalogue } from '../providers/catalogue.ts';
import type { Sources } from '../sources.ts';
import * as connections from '../store/connections.ts';
import { json } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import * as integrations from '../store/integrations.ts';
import * as operations from '../store/operations.ts';
import type { Schema } from '../store/schema.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import { stopWaiting } from './pending.ts';
import type { Revocations } from './revocations.ts';

export interface Deletion {
    environmentId: string;
    integrationKey: string;
    connectionId: string;
    /** Whether the grant may be revoked at the provider. */
    mayRevoke: boolean;
}

/** @returns whether there was something to delete. */
export async function deleteConnection(
    { db, sources, catalogue, revocations }: { db: Kysely<Schema>; sources: Sources; catalogue: Catalogue; revocations: Revocations },
    { environmentId, integrationKey, connectionId, mayRevoke }: Deletion,
): Promise<boolean> {
    const integration = await integrations.findByKey(db, environmentId, integrationKey);
    if (integration === undefined) {
        return false;
    }
    const operationId = operations.newOperationId(sources);
    const at = new Date(sources.now());
    const deleted = await db.transaction().execute(async (transaction) => {
        // Locked, so that what is revoked is the last that a renewal wrote.
        const row = await connections.lockByKey(transaction, integration.id, connectionId);
        if (row === undefined) {
            return undefined;
        }
        await connections.remove(transaction, integration.id, connectionId, at);
        await stopWaiting(transaction, row, 'Connection deleted', at);
        const revocation = revocations.plan(row, mayRevoke);
        await operations.open(transaction, {
            id: operationId,
            environment_id: environmentId,
            type: 'connection',
            action: 'delete',
            // Whatever becomes of the revocation: the connection is deleted.
            state: 'success',
            level: 'info',
            message: 'Connection deleted',
            integration_id: integration.id,
            connection_row_id: row.id,
            connection_id: connectionId,
            error: null,
            meta: json({ revocation }),
            created_at: at,
            ended_at: at,
            expires_at: null,
        });
        const environment = await environments.findById(transaction, environmentId);
        await enqueueAuthEvent(transaction, sources, {
            environment: environment!,
            connectionRowId: row.id,
            connectionId,
            providerConfigKey: integration.unique_key,
            provider: integration.provider,
            authMode: catalogue.get(integration.provider)?.authMode ?? row.credential_type,
            operation: 'deletion',
            tags: row.tags,
            endUser: row.end_user,
            urlOverride: row.webhook_url_override,
        });
        return { row, revocation };
    });
    if (deleted?.revocation.outcome === 'pending') {
        revocations.start({ row: deleted.row, integration, operationId });
    }
    return deleted !== undefined;
}
