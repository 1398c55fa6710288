/** The operation log over HTTP (O2), and how far the workers are behind (O5). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MigrationState } from '../../src/store/migrate.ts';
import * as operations from '../../src/store/operations.ts';
import { startTestApp, type TestApp } from './app.ts';

interface Listed {
    data: { id: string; state: string; operation: { type: string; action: string }; message: string }[];
    pagination: { cursor: string | null };
}

let valetkey: TestApp;
let ids: string[];

beforeAll(async () => {
    valetkey = await startTestApp();
    const now = Date.now();
    const environments = await valetkey.query<{ id: string; name: string }>('select id, name from environments');
    const idOf = (name: string): string => environments.find((each) => each.name === name)!.id;
    const add = async (environment: string, age: number, action: string, connection: string): Promise<string> => {
        const id = `${now - age}_${action.replaceAll('_', '')}`;
        await operations.open(valetkey.app.database.db, {
            id,
            environment_id: idOf(environment),
            type: 'auth',
            action,
            state: 'waiting',
            level: 'info',
            message: `Began ${action}`,
            integration_id: null,
            connection_row_id: null,
            connection_id: connection,
            error: null,
            meta: null,
            created_at: new Date(now - age),
            ended_at: null,
            expires_at: null,
        });
        return id;
    };
    ids = [
        await add('dev', 1_000, 'create_connection', 'a'),
        await add('dev', 2_000, 'refresh_token', 'a'),
        await add('dev', 3_000, 'create_connection', 'b'),
        await add('dev', 3 * 24 * 3600_000, 'create_connection', 'a'),
        await add('prod', 1_500, 'create_connection', 'a'),
    ];
    await operations.end(valetkey.app.database.db, ids[2]!, {
        state: 'failed',
        message: 'The provider refused',
        error: { type: 'denied', message: 'The provider refused' },
        at: new Date(now),
    });
});
afterAll(() => valetkey.close());

const list = async (query: string): Promise<string[]> => {
    const answer = await valetkey.call<Listed>('GET', `/logs/operations${query}`);
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
    return answer.body.data.map(({ id }) => id);
};

describe('GET /logs/operations', () => {
    test.each<[string, number[]]>([
        ['', [0, 1, 2]],
        ['?from=2020-01-01T00:00:00Z', [0, 1, 2, 3]],
        ['?connections=a', [0, 1]],
        ['?states=failed,success', [2]],
        ['?states=failed', [2]],
        ['?types=auth:create_connection', [0, 2]],
        ['?types=auth', [0, 1, 2]],
        ['?integrations=none', []],
        ['?search=PROVIDER%20REF', [2]],
        ['?search=%25', []],
    ])('%s', async (query, expected) => {
        expect(await list(query)).toEqual(expected.map((index) => ids[index]));
    });

    test('walks by cursor, whatever is begun meanwhile', async () => {
        const first = await valetkey.call<Listed>('GET', '/logs/operations?limit=2');
        expect(first.body.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
        const next = await valetkey.call<Listed>('GET', `/logs/operations?limit=2&cursor=${first.body.pagination.cursor}`);
        expect(next.body).toMatchObject({ data: [{ id: ids[2] }], pagination: { cursor: null } });
    });

    test.each(['?limit=501', '?states=lost', '?cursor=x', '?from=yesterday', `?search=${'a'.repeat(257)}`])('refuses %s', async (query) => {
        expect(await valetkey.call('GET', `/logs/operations${query}`)).toMatchObject({
            status: 400,
            body: { error: { code: 'invalid_query_params' } },
        });
    });
});

test('GET /logs/operations/:id and its messages, of the own environment only', async () => {
    const path = `/logs/operations/${ids[2]}`;
    expect((await valetkey.call('GET', path)).body).toMatchObject({
        data: { id: ids[2], state: 'failed', error: { type: 'denied' }, operation: { type: 'auth', action: 'create_connection' } },
    });
    const messages = await valetkey.call<Listed>('GET', `${path}/messages`);
    expect(messages.body.data.map(({ message }) => message)).toEqual(['Began create_connection', 'The provider refused']);
    const first = await valetkey.call<Listed>('GET', `${path}/messages?limit=1`);
    const rest = await valetkey.call<Listed>('GET', `${path}/messages?cursor=${first.body.pagination.cursor}`);
    expect(rest.body.data.map(({ message }) => message)).toEqual(['The provider refused']);
    expect((await valetkey.call<Listed>('GET', `${path}/messages?levels=info`)).body.data).toHaveLength(1);
    for (const id of [ids[4], 'nothing', '99999999999999_x']) {
        for (const end of ['', '/messages']) {
            expect([id, (await valetkey.call('GET', `/logs/operations/${id}${end}`)).status]).toEqual([id, 404]);
        }
    }
});

test('GET /health/details tells of lag, and of migrations, as while replicas are replaced', async () => {
    const state = async () => (await valetkey.call<{ migrations: MigrationState }>('GET', '/health/details')).body.migrations;
    const whole = await state();
    expect(whole).toMatchObject({ newest: expect.stringMatching(/^\d{4}_/), pending: [], unknown: [] });
    await valetkey.query(`insert into kysely_migration (name, timestamp) values ('9999_future', '2030-01-01')`);
    await valetkey.query(`delete from kysely_migration where name = $1`, [whole.newest]);
    expect(await state()).toEqual({ applied: whole.applied, newest: '9999_future', pending: [whole.newest], unknown: ['9999_future'] });
    await valetkey.query(`update kysely_migration set name = $1 where name = '9999_future'`, [whole.newest]);
    expect(await state()).toEqual(whole);
    expect(await valetkey.call('GET', '/health/details')).toMatchObject({
        status: 200,
        body: { database: { kind: 'postgres' }, lag: { renewals: { overdue: 0 }, deliveries: { overdue: 0 }, hooks: { overdue: 0 } } },
    });
});
