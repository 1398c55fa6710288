/** Statements that write several connections lock them in the order of their ids, so that none of them deadlocks another. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as writes from '../../src/store/credential-writes.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { eventually } from '../e2e/valetkey.ts';
import { openPostgresStore, type TestStore } from './dialects.ts';
import { insertConnection, insertSetting, journalledWrite } from './rows.ts';

/** Enough that a statement for a few finds them by their ids, as it does in a table of any size. */
const others = 1_000;

let store: TestStore;
let integration: IntegrationRow;
let ids: [string, string];
beforeAll(async () => {
    store = await openPostgresStore();
    const { db } = store.database;
    integration = await insertSetting(db);
    const low = (await insertConnection(db, integration)).id;
    for (let n = 0; n < others; n += 100) {
        await Promise.all(Array.from({ length: 100 }, () => insertConnection(db, integration)));
    }
    ids = [low, (await insertConnection(db, integration)).id];
    await sql`vacuum analyze connections`.execute(db);
});
afterAll(() => store.close());

test.each([
    [
        'intents',
        async (order: readonly string[]) => {
            const intent = { epoch: 0, started_at: '', fingerprint: '' };
            return writes.recordIntents(
                store.database.db,
                order.map((id) => ({ id, intent })),
            );
        },
        [true, true],
    ],
    [
        'answers',
        async (order: readonly string[]) =>
            [
                ...(await writes.applyJournalled(
                    store.database.db,
                    order.map((id) => journalledWrite(integration, id)),
                )),
            ].toSorted(),
        undefined,
    ],
])('%s that are written together', async (_what, write, expected) => {
    const { db } = store.database;
    const [low, high] = ids;
    const lock = (within: typeof db, id: string) => within.selectFrom('connections').select('id').where('id', '=', id).forNoKeyUpdate().execute();
    const written = await db.transaction().execute(async (transaction) => {
        await lock(transaction, low);
        const writing = write([high, low]);
        writing.catch(() => {});
        await eventually(async () => {
            const { rows } = await sql`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`.execute(db);
            expect(rows).toHaveLength(1);
        });
        await lock(transaction, high);
        return { writing };
    });
    expect(await written.writing).toEqual(expected ?? [low, high]);
});
