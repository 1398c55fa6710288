/** PATCH of a connection: its end user, tags and webhook URL, judged and written in one transaction (http-api §8.5). */
import type { Kysely } from 'kysely';
import * as changes from '../store/connection-changes.ts';
import type { ConnectionChange } from '../store/connection-changes.ts';
import type { Schema } from '../store/schema.ts';
import { changedTags } from './tags.ts';

export type ChangeResult = 'changed' | 'unknown_integration' | 'unknown_connection' | 'too_many_tags';

export function changeConnection(
    db: Kysely<Schema>,
    target: { environmentId: string; integrationKey: string; connectionId: string },
    change: ConnectionChange,
): Promise<ChangeResult> {
    return db.transaction().execute(async (transaction) => {
        const found = await changes.lockForChange(transaction, target.environmentId, target.integrationKey, target.connectionId);
        if (found?.connection === undefined) {
            return found === undefined ? 'unknown_integration' : 'unknown_connection';
        }
        const { connection } = found;
        const tags = changedTags(connection, change);
        if (tags === undefined) {
            return 'too_many_tags';
        }
        await changes.change(transaction, connection.id, { ...change, tags: tags === connection.tags ? undefined : tags });
        return 'changed';
    });
}
