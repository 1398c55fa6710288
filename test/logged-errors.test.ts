/** What the log says of an error of the database: what is wrong, and none of the values that it was given (E5). */
import { sql } from 'kysely';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loggerOptions } from '../src/commands.ts';
import { dialects, type TestStore } from './store/dialects.ts';
import { madeAt, newId } from './store/rows.ts';

describe.each(dialects)('a statement that fails ($name)', ({ open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());

    test('is logged without its values', async () => {
        const { db } = store.database;
        const insert = (name: string): Promise<unknown> =>
            sql`insert into environments (id, name, is_production, callback_url, created_at) values (${newId()}, ${name}, false, 'x', ${madeAt})`.execute(
                db,
            );
        const error = await insert('a-canary').catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(Error);
        const lines: string[] = [];
        pino(loggerOptions({ logLevel: 'error' }), { write: (line) => void lines.push(line) }).error({ err: error }, 'it failed');
        expect(lines).toHaveLength(1);
        expect(lines[0]).toContain('violates not-null constraint');
        expect(lines[0]).toContain('23502');
        expect(lines[0]).not.toContain('a-canary');
    });
});
