/** The list of connections against models: what a filter finds, and what a walk sees while the list changes under it. */
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { json } from '../../src/store/database.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { insertConnection, insertIntegration, newId } from '../store/rows.ts';
import { startTestApp, type TestApp } from './app.ts';

let valetkey: TestApp;
const integrations: IntegrationRow[] = [];

beforeAll(async () => {
    valetkey = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '1000000000' } });
    const [dev] = await valetkey.query<{ id: string }>(`select id from environments where name = 'dev'`);
    for (const key of ['one', 'two', 'three']) {
        integrations.push(await insertIntegration(valetkey.app.database.db, dev!.id, { unique_key: key }));
    }
});
afterAll(() => valetkey?.close());

interface Listed {
    id: number;
    connection_id: string;
}
const get = async (query: URLSearchParams): Promise<{ rows: Listed[]; link: string | undefined }> => {
    const answer = await valetkey.call<{ connections: Listed[] }>('GET', `/connections?${query.toString()}`);
    expect(answer.status, answer.text).toBe(200);
    return { rows: answer.body.connections, link: answer.headers['link'] };
};

/** Few moments, so that many connections share one; microseconds, so that a place has to be exact. */
const moment = fc.integer({ min: 0, max: 6 });
const at = (microseconds: number) => sql`timestamptz '2026-01-01 00:00:00+00' + ${microseconds} * interval '1 microsecond'` as never;
const mostRuns = (runs: number): { numRuns?: number } => (fc.readConfigureGlobal()?.numRuns === undefined ? { numRuns: runs } : {});

interface Row {
    id: string;
    publicId: number;
    moment: number;
}
const newestFirst = (a: Row, b: Row): number => b.moment - a.moment || b.publicId - a.publicId;

test('a walk by page or by cursor sees each connection that was there all the while once, in order', async () => {
    const team = fc.constantFrom('blue', 'red');
    const integration = fc.nat({ max: 1 });
    const change = fc.oneof(
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('insert' as const), moment, team, integration }) },
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), which: fc.nat() }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('tag' as const), which: fc.nat(), team }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('renew' as const), which: fc.nat() }) },
    );
    type Made = Row & { team: string; integration: number };
    const filters: readonly [query: string, admits: (row: Made) => boolean][] = [
        ['', () => true],
        ['search=example', () => true],
        ['tags[team]=blue', (row) => row.team === 'blue'],
        ['integrationId=one,two', () => true],
        ['integrationId=one&tags[team]=blue', (row) => row.integration === 0 && row.team === 'blue'],
    ];
    const arbitrary = fc.record({
        first: fc.array(fc.record({ moment, team, integration }), { maxLength: 16 }),
        /** What happens after each page. */
        meanwhile: fc.array(fc.array(change, { maxLength: 5 }), { maxLength: 8 }),
        limit: fc.integer({ min: 1, max: 4 }),
        by: fc.constantFrom('page', 'cursor'),
        filter: fc.constantFrom(...filters),
    });
    await fc.assert(
        fc.asyncProperty(arbitrary, async ({ first, meanwhile, limit, by, filter: [filter, admits] }) => {
            await valetkey.query('delete from connections');
            const live = new Map<number, Made>();
            const insert = async (made: { moment: number; team: string; integration: number }): Promise<void> => {
                const { id, public_id } = await insertConnection(valetkey.app.database.db, integrations[made.integration]!, {
                    created_at: at(made.moment),
                    tags: json({ team: made.team, end_user_email: 'x@example.com' }),
                });
                live.set(public_id, { id, publicId: public_id, moment: made.moment, team: made.team, integration: made.integration });
            };
            const carryOut = async (step: (typeof meanwhile)[number][number]): Promise<void> => {
                if (step.kind === 'insert') {
                    return insert(step);
                }
                const row = [...live.values()][step.which % Math.max(live.size, 1)];
                if (row === undefined) {
                    return;
                }
                if (step.kind === 'delete') {
                    await valetkey.query('update connections set deleted_at = now() where id = $1', [row.id]);
                    live.delete(row.publicId);
                } else if (step.kind === 'tag') {
                    await valetkey.query(`update connections set tags = jsonb_set(tags, '{team}', $2) where id = $1`, [row.id, json(step.team)]);
                    live.set(row.publicId, { ...row, team: step.team });
                } else {
                    await valetkey.query('update connections set sealed_credentials = $2, next_refresh_at = now() where id = $1', [row.id, newId()]);
                }
            };
            const admitted = (): Set<number> => new Set([...live.values()].filter(admits).map((row) => row.publicId));

            for (const made of first) await insert(made);
            let throughout = admitted();
            const seen: number[] = [];
            const query = new URLSearchParams(filter);
            query.set('limit', String(limit));
            for (let page = 0; ; page++) {
                if (by === 'page') query.set('page', String(page));
                const { rows, link } = await get(query);
                seen.push(...rows.map((row) => row.id));
                expect(link !== undefined).toBe(rows.length === limit);
                if (link === undefined) break;
                if (by === 'cursor') query.set('cursor', new URLSearchParams(/^<\?(.*)>/.exec(link)![1]).get('cursor')!);
                for (const step of meanwhile[page] ?? []) {
                    await carryOut(step);
                    throughout = throughout.intersection(admitted());
                }
            }
            expect(new Set(seen).size).toBe(seen.length);
            expect([...throughout].filter((id) => !seen.includes(id))).toEqual([]);
            const sorted = await valetkey.query<{ public_id: number }>(
                'select public_id from connections where public_id = any($1) order by created_at desc, public_id desc',
                [seen],
            );
            expect(seen).toEqual(sorted.map((row) => row.public_id));
        }),
        mostRuns(60),
    );
});

/** Wildcards, the character that escapes them, and letters in both cases. */
const text = fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'B', '%', '_', '\\', '.', "'"), minLength: 1, maxLength: 4 });

test('filters find what a model of them finds', async () => {
    const tagName = fc.constantFrom('a', 'b.c', 'end_user_id', 'end_user_display_name');
    const tags = fc.dictionary(tagName, fc.oneof(text, fc.constantFrom('x', 'y')), { maxKeys: 3, noNullPrototype: true });
    const endUser = fc.option(
        fc.record({
            id: fc.constantFrom('u1', 'u2', 'x'),
            email: fc.option(text),
            display_name: fc.option(text),
            tags: fc.constant(null),
            organization: fc.option(fc.record({ id: fc.constantFrom('o1', 'u1'), display_name: fc.option(text) })),
        }),
    );
    const connection = fc.record({ moment, tags, endUser, id: fc.oneof(text, fc.constantFrom('c1', 'c2')), integration: fc.nat({ max: 2 }) });
    const filter = fc.record(
        {
            connectionId: fc.constantFrom('c1', 'c2'),
            search: text,
            endUserId: fc.constantFrom('u1', 'u2', 'o1'),
            endUserOrganizationId: fc.constantFrom('o1', 'u1'),
            integrationId: fc.uniqueArray(fc.constantFrom('one', 'two', 'three', 'none'), { minLength: 1, maxLength: 3 }),
            tags: fc.dictionary(tagName, fc.oneof(text, fc.constantFrom('x', 'y')), { maxKeys: 2, minKeys: 1, noNullPrototype: true }),
        },
        { requiredKeys: [] },
    );
    const arbitrary = fc.record({
        connections: fc.uniqueArray(connection, { maxLength: 10, selector: (made) => `${made.integration} ${made.id}` }),
        /** What each becomes, if anything, before it is looked for. */
        changes: fc.array(fc.option(fc.oneof(fc.record({ tags, endUser }), fc.constant('delete' as const))), { maxLength: 10 }),
        filters: fc.array(filter, { minLength: 1, maxLength: 8 }),
        limit: fc.integer({ min: 1, max: 12 }),
    });
    await fc.assert(
        fc.asyncProperty(arbitrary, async ({ connections, changes, filters, limit }) => {
            await valetkey.query('delete from connections');
            const rows: (Row & (typeof connections)[number] & { isDeleted?: boolean })[] = [];
            for (const [index, made] of connections.entries()) {
                const { id, public_id } = await insertConnection(valetkey.app.database.db, integrations[made.integration]!, {
                    connection_id: made.id,
                    created_at: at(made.moment),
                    tags: json(made.tags),
                    end_user: json(made.endUser),
                });
                const change = changes[index];
                if (change === 'delete') {
                    await valetkey.query('update connections set deleted_at = now() where id = $1', [id]);
                    continue;
                }
                if (change) {
                    await valetkey.query('update connections set tags = $2, end_user = $3 where id = $1', [
                        id,
                        json(change.tags),
                        json(change.endUser),
                    ]);
                }
                rows.push({ ...made, ...change, publicId: public_id });
            }
            for (const { integrationId, tags: filterTags, ...others } of filters) {
                const query = new URLSearchParams({ ...others, limit: String(limit) });
                if (integrationId) query.set('integrationId', integrationId.join(' , '));
                for (const [name, value] of Object.entries(filterTags ?? {})) query.set(`tags[${name.toUpperCase()}]`, value);
                const expected = rows
                    .filter(({ id, tags: has, endUser: user, integration }) => {
                        const searched = [id, user?.display_name, user?.email, has['end_user_id'], has['end_user_display_name']];
                        const needle = others.search?.toLowerCase();
                        return (
                            (others.connectionId === undefined || id === others.connectionId) &&
                            (needle === undefined || searched.some((value) => value?.toLowerCase().includes(needle))) &&
                            (others.endUserId === undefined || user?.id === others.endUserId) &&
                            (others.endUserOrganizationId === undefined || user?.organization?.id === others.endUserOrganizationId) &&
                            (integrationId === undefined || integrationId.some((key) => key === integrations[integration]!.unique_key)) &&
                            Object.entries(filterTags ?? {}).every(([name, value]) => has[name] === value)
                        );
                    })
                    .toSorted(newestFirst)
                    .map((row) => row.publicId);
                expect((await get(query)).rows.map((row) => row.id)).toEqual(expected.slice(0, limit));
            }
        }),
        mostRuns(60),
    );
});
