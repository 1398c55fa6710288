import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemSources } from '../../src/sources.ts';
import type { WebhookSettings } from '../../src/store/webhook-settings.ts';
import { authPayload, enqueueAuthEvent, type AuthEvent } from '../../src/webhooks/auth-events.ts';
import { stableJson } from '../../src/webhooks/enqueue.ts';
import { eventKinds, type EventKind } from '../../src/webhooks/event-kinds.ts';
import { enqueueIntegrationEvent } from '../../src/webhooks/integration-events.ts';
import { dialects, type TestStore } from '../store/dialects.ts';
import { insertEndpoint, insertEnvironment, insertWebhookSettings, madeAt, newId } from '../store/rows.ts';

const sources = { ...systemSources, now: () => madeAt.getTime() };
const endUser = { id: 'u1', email: null, display_name: 'Ada', tags: null, organization: { id: 'o1', display_name: null } };

const created = (environmentId: string, overrides: Partial<AuthEvent> = {}): AuthEvent => ({
    environment: { id: environmentId, name: 'dev' },
    connectionRowId: newId(),
    connectionId: 'c-1',
    providerConfigKey: 'github-dev',
    provider: 'github',
    authMode: 'OAUTH2',
    operation: 'creation',
    tags: { end_user_id: 'u1' },
    urlOverride: null,
    ...overrides,
});

describe('the body (§1.4)', () => {
    const body = (overrides: Partial<AuthEvent> = {}): string => stableJson(authPayload(created('e', overrides)));

    test('of a success is the first line of the contract, byte for byte', () => {
        expect(body()).toBe(
            '{"authMode":"OAUTH2","connectionId":"c-1","environment":"dev","from":"nango","operation":"creation","provider":"github",' +
                '"providerConfigKey":"github-dev","success":true,"tags":{"end_user_id":"u1"},"type":"auth"}',
        );
    });

    test('of a failed renewal is the second line', () => {
        const failure = {
            environment: { id: 'e', name: 'prod' },
            providerConfigKey: 'github',
            operation: 'refresh',
            tags: {},
            error: { type: 'refresh_token_external_error', description: '...' },
        } as const;
        expect(body(failure)).toBe(
            '{"authMode":"OAUTH2","connectionId":"c-1","environment":"prod","error":{"description":"...","type":"refresh_token_external_error"},' +
                '"from":"nango","operation":"refresh","provider":"github","providerConfigKey":"github","success":false,"tags":{},"type":"auth"}',
        );
    });

    test('names the end user: an unknown address is null, unset optional fields are left out', () => {
        expect(JSON.parse(body({ endUser }))).toMatchObject({ endUser: { endUserId: 'u1', endUserEmail: null, organizationId: 'o1', tags: {} } });
        const alone = JSON.parse(body({ endUser: { ...endUser, email: 'a@b.c', tags: { plan: 'gold' }, organization: null } })) as Record<
            string,
            unknown
        >;
        expect(alone['endUser']).toEqual({ endUserId: 'u1', endUserEmail: 'a@b.c', tags: { plan: 'gold' } });
        expect(JSON.parse(body({ endUser: null }))).not.toHaveProperty('endUser');
    });

    test('of a failed creation has neither tags nor end user', () => {
        const { connectionRowId: _, tags: __, ...failed } = created('e', { error: { type: 'invalid_callback', description: 'd' } });
        expect(Object.keys(authPayload(failed)).filter((name) => authPayload(failed)[name] !== undefined)).not.toContain('tags');
        expect(JSON.parse(stableJson(authPayload(failed)))).toEqual({
            authMode: 'OAUTH2',
            connectionId: 'c-1',
            environment: 'dev',
            error: { type: 'invalid_callback', description: 'd' },
            from: 'nango',
            operation: 'creation',
            provider: 'github',
            providerConfigKey: 'github-dev',
            success: false,
            type: 'auth',
        });
    });
});

describe('stable JSON (§1.6)', () => {
    const isSorted = (value: unknown): boolean => {
        if (typeof value !== 'object' || value === null) {
            return true;
        }
        // JavaScript puts keys that are array indices first, by number; that survives a round trip as it is.
        const keys = Object.keys(value).filter((key) => !/^(0|[1-9]\d*)$/.test(key));
        return (Array.isArray(value) || keys.every((key, index) => index === 0 || keys[index - 1]! < key)) && Object.values(value).every(isSorted);
    };

    test('is compact, sorted at every depth, and survives parsing byte for byte', () => {
        fc.assert(
            fc.property(fc.jsonValue(), (value) => {
                const text = stableJson(value);
                const parsed: unknown = JSON.parse(text);
                expect(parsed).toEqual(JSON.parse(JSON.stringify(value)));
                expect(isSorted(parsed)).toBe(true);
                expect(JSON.stringify(parsed)).toBe(text);
            }),
        );
    });

    test('does not depend on the order in which members were set', () => {
        fc.assert(
            fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
                const reversed = Object.fromEntries(Object.entries(value).toReversed());
                expect(stableJson(reversed)).toBe(stableJson(value));
            }),
        );
    });

    test('leaves out what is undefined, keeps null, arrays in their order, and a member called __proto__', () => {
        expect(stableJson({ b: undefined, a: null, c: [2, { z: 1, y: undefined, x: 0 }, 1] })).toBe('{"a":null,"c":[2,{"x":0,"z":1},1]}');
        expect(stableJson(JSON.parse('{"z":1,"__proto__":{"b":1,"a":2}}'))).toBe('{"__proto__":{"a":2,"b":1},"z":1}');
    });
});

describe.each(dialects)('the outbox ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environmentId = await insertEnvironment(store.database.db);
    });

    const primary = 'https://primary.example/hook';
    const secondary = 'https://secondary.example/hook';
    const override = 'https://override.example/hook';

    const configure = (settings: Partial<WebhookSettings> = {}) =>
        insertWebhookSettings(store.database.db, environmentId, { primary_url: primary, secondary_url: secondary, ...settings });
    const enqueue = (overrides: Partial<AuthEvent> = {}): Promise<string | undefined> =>
        enqueueAuthEvent(store.database.db, sources, created(environmentId, overrides));
    const destinations = async (): Promise<[string, string][]> => {
        const rows = await store.database.db.selectFrom('webhook_deliveries').select(['destination', 'url']).orderBy('destination').execute();
        return rows.map((row) => [row.destination, row.url]);
    };
    const failure = { type: 'refresh_token_external_error', description: 'd' };

    test('holds one event with its exact bytes, and a delivery per destination that is due now', async () => {
        await configure();
        const event = created(environmentId);
        const id = await enqueueAuthEvent(store.database.db, sources, event);
        expect(id).toMatch(/^msg_[0-9A-HJKMNP-TV-Z]{26}$/);
        expect(await store.database.db.selectFrom('webhook_events').selectAll().execute()).toMatchObject([
            {
                id,
                environment_id: environmentId,
                connection_row_id: event.connectionRowId,
                connection_id: 'c-1',
                sequence: 1,
                type: 'auth',
                operation: 'creation',
                post_connection_status: null,
                body: stableJson(authPayload(event)),
                created_at: madeAt,
            },
        ]);
        const deliveries = await store.database.db.selectFrom('webhook_deliveries').selectAll().orderBy('destination').execute();
        expect(deliveries).toMatchObject([
            { event_id: id, destination: 'primary', url: primary, state: 'pending', attempts: 0, next_attempt_at: madeAt, lease_owner: null },
            { event_id: id, destination: 'secondary', url: secondary, state: 'pending', attempts: 0, next_attempt_at: madeAt, lease_owner: null },
        ]);
    });

    test('event ids are ordered by time, 48 bits of it first (W3)', async () => {
        await configure();
        const at = (time: number) => enqueueAuthEvent(store.database.db, { ...sources, now: () => time }, created(environmentId));
        const ids = [await at(1_469_918_176_385), await at(1_469_918_176_386), await at(2 ** 47 - 1)];
        expect(ids.toSorted()).toEqual(ids);
        expect(ids.map((id) => id!.slice(4, 14))).toEqual(['01ARYZ6S41', '01ARYZ6S42', '3ZZZZZZZZZ']);
    });

    test('is written with the change it tells of, or not at all (W1)', async () => {
        await configure();
        await expect(
            store.database.db.transaction().execute(async (transaction) => {
                await enqueueAuthEvent(transaction, sources, created(environmentId));
                throw new Error('the change failed');
            }),
        ).rejects.toThrow('the change failed');
        expect(await destinations()).toEqual([]);
        expect(await store.database.db.selectFrom('webhook_events').selectAll().execute()).toEqual([]);
    });

    describe('destinations (§1.2)', () => {
        test.each<[string, Partial<WebhookSettings>, string | null, [string, string][]]>([
            [
                'both',
                {},
                null,
                [
                    ['primary', primary],
                    ['secondary', secondary],
                ],
            ],
            ['primary only', { secondary_url: null }, null, [['primary', primary]]],
            ['secondary only', { primary_url: null }, null, [['secondary', secondary]]],
            ['a cleared URL is none', { primary_url: '' }, null, [['secondary', secondary]]],
            ['none', { primary_url: null, secondary_url: '' }, null, []],
            ['an override is the only one', {}, override, [['override', override]]],
            ['an override needs no other', { primary_url: null, secondary_url: null }, override, [['override', override]]],
            [
                'an empty override is none',
                {},
                '',
                [
                    ['primary', primary],
                    ['secondary', secondary],
                ],
            ],
            [
                'a disabled one too, where the worker holds it (W9)',
                { primary_disabled_reason: 'receiver_gone' },
                null,
                [
                    ['primary', primary],
                    ['secondary', secondary],
                ],
            ],
            [
                'an override is not disabled with the others',
                { primary_disabled_reason: 'failing', secondary_disabled_reason: 'manual' },
                override,
                [['override', override]],
            ],
        ])('%s', async (_, settings, urlOverride, expected) => {
            await configure(settings);
            // Kept for GET /events, wherever it is sent.
            expect(await enqueue({ urlOverride })).toMatch(/^msg_/);
            expect(await destinations()).toEqual(expected);
        });

        test('without settings nothing is sent, not even to an override', async () => {
            expect(await enqueue({ urlOverride: override })).toBeUndefined();
            expect(await destinations()).toEqual([]);
        });
    });

    describe('switches (§1.3)', () => {
        const off = { creation: { on_auth_creation: false }, refresh: { on_auth_refresh_error: false } } as const;

        test.each<[AuthEvent['operation'], boolean, keyof typeof off | 'none', boolean]>([
            ['creation', true, 'none', true],
            ['creation', true, 'creation', false],
            ['creation', false, 'creation', false],
            ['creation', true, 'refresh', true],
            ['creation', false, 'refresh', true],
            ['override', true, 'creation', true],
            ['override', false, 'creation', true],
            ['override', true, 'refresh', true],
            ['refresh', false, 'none', true],
            ['refresh', false, 'refresh', false],
            ['refresh', false, 'creation', true],
        ])('%s, success %s, with %s switched off: sent %s', async (operation, success, switchedOff, sent) => {
            await configure(switchedOff === 'none' ? {} : off[switchedOff]);
            const id = await enqueue({ operation, ...(success ? {} : { error: failure }) });
            expect(id !== undefined).toBe(sent);
            expect(await destinations()).toHaveLength(sent ? 2 : 0);
        });

        test('hold for an override URL too', async () => {
            await configure({ on_auth_creation: false });
            expect(await enqueue({ urlOverride: override })).toBeUndefined();
        });
    });

    describe('event filters (W18, §8.2)', () => {
        const other = 'https://other.example/hook';
        const optIn: [EventKind, Partial<AuthEvent>][] = [
            ['auth.recovery', { operation: 'refresh' }],
            ['auth.deletion', { operation: 'deletion' }],
            ['auth.verification', { operation: 'verification' }],
            ['auth.verification', { operation: 'verification', error: failure }],
            ['auth.expiring', { operation: 'expiring' }],
        ];

        test.each(optIn)('%s goes to the endpoint that names it, and nowhere else: %j', async (kind, event) => {
            await configure();
            expect(await enqueue(event)).toBeUndefined();
            const endpoint_id = await insertEndpoint(store.database.db, environmentId, { url: other, events: [kind] });
            await insertEndpoint(store.database.db, environmentId, {
                url: 'https://no.example/',
                events: eventKinds.filter((other) => other !== kind),
            });
            await enqueue(event);
            expect(await store.database.db.selectFrom('webhook_deliveries').select(['destination', 'endpoint_id', 'url']).execute()).toEqual([
                { destination: 'endpoint', endpoint_id, url: other },
            ]);
        });

        test.each(optIn)('%s goes there although the connection has a URL of its own, and never to that one', async (kind, event) => {
            await configure({ on_auth_creation: false, on_auth_refresh_error: false });
            expect(await enqueue({ ...event, urlOverride: override })).toBeUndefined();
            await insertEndpoint(store.database.db, environmentId, { url: other, events: [kind] });
            await enqueue({ ...event, urlOverride: override });
            expect(await destinations()).toEqual([['endpoint', other]]);
        });

        test('a default kind goes to every endpoint that names it, unless the connection has a URL of its own', async () => {
            await configure({ secondary_url: null });
            await insertEndpoint(store.database.db, environmentId, { url: other, events: ['auth.creation'] });
            await enqueue({ urlOverride: override });
            expect(await destinations()).toEqual([['override', override]]);
            await enqueue({ operation: 'override' });
            await enqueue();
            expect(await destinations()).toEqual([
                ['endpoint', other],
                ['override', override],
                ['primary', primary],
                ['primary', primary],
            ]);
        });

        test('of another environment are of no concern', async () => {
            await configure();
            await insertEndpoint(store.database.db, await insertEnvironment(store.database.db), { url: other, events: [...eventKinds] });
            await enqueue();
            expect(await destinations()).toHaveLength(2);
        });

        test('an integration event has no connection and no secret', async () => {
            await configure();
            const event = {
                environment: { id: environmentId, name: 'dev' },
                providerConfigKey: 'github-dev',
                provider: 'github',
                operation: 'credentials_changed',
            } as const;
            expect(await enqueueIntegrationEvent(store.database.db, sources, event)).toBeUndefined();
            await insertEndpoint(store.database.db, environmentId, { url: other, events: ['integration.credentials_changed'] });
            await enqueueIntegrationEvent(store.database.db, sources, event);
            expect(await destinations()).toEqual([['endpoint', other]]);
            const [stored] = await store.database.db.selectFrom('webhook_events').selectAll().execute();
            expect(stored).toMatchObject({
                type: 'integration',
                operation: 'credentials_changed',
                connection_row_id: null,
                body:
                    '{"environment":"dev","from":"nango","operation":"credentials_changed","provider":"github",' +
                    '"providerConfigKey":"github-dev","success":true,"type":"integration"}',
            });
        });
    });

    test('an event without a connection has no row to point to', async () => {
        await configure();
        const { connectionRowId: _, tags: __, ...failed } = created(environmentId, { error: failure });
        await enqueueAuthEvent(store.database.db, sources, failed);
        expect(await store.database.db.selectFrom('webhook_events').select('connection_row_id').execute()).toEqual([{ connection_row_id: null }]);
    });
});
