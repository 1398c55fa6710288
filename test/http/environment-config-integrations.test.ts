/** Integrations of every auth mode in the settings document (S7): exported, applied elsewhere, applied again. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { changeIntegration, openSetup } from '../../src/environments/integration.ts';
import { systemSources } from '../../src/sources.ts';
import { json } from '../../src/store/database.ts';
import * as integrations from '../../src/store/integrations.ts';
import { providersFile } from '../e2e/provider-entries.ts';
import { eventually } from '../e2e/valetkey.ts';
import { insertConnection } from '../store/rows.ts';
import { createIntegration } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { credentialsOf, everyMode, pem, pkcs8 } from './every-mode.ts';
import '../property-seed.ts';

type Values = Record<string, unknown>;
type Document = { version: 1; integrations: Record<string, Values>; secrets?: Record<string, string> };
type Applied = Answer<{
    data: { changes: { path: string; kind: string; from?: unknown; to?: unknown }[] };
    error: { errors: { message: string; path: string[] }[] };
}>;

let valetkey: TestApp;

beforeAll(async () => {
    const entries = JSON.parse(everyMode()) as Record<string, Values>;
    const text = { type: 'string', optional: true };
    entries['set-up']!['integration_config'] = { ...(entries['set-up']!['integration_config'] as Values), licenseToken: text };
    valetkey = await startTestApp({ providers: providersFile(entries), env: { VALETKEY_RATE_LIMIT_PER_MIN: '10000000' } });
});
afterAll(() => valetkey?.close());
beforeEach(() => valetkey.query(`update integrations set deleted_at = now() where deleted_at is null`));

const apply = (declared: Document['integrations'], secrets?: Record<string, string>, key = valetkey.key): Promise<Applied> =>
    valetkey.call('PUT', '/environment/config', { body: { version: 1, integrations: declared, secrets }, key });
async function read(key = valetkey.key): Promise<Document['integrations']> {
    const { body } = await valetkey.call<Document>('GET', '/environment/config', { key });
    return body.integrations;
}
/** What an integration has that is secret, and where nothing is, nothing. */
async function secretsOf(uniqueKey: string, key = valetkey.key): Promise<Values> {
    const path = encodeURIComponent(uniqueKey);
    const { body } = await valetkey.call<{ data: Values }>('GET', `/integrations/${path}?include=credentials`, { key });
    const old = await valetkey.call<{ config: Values }>('GET', `/config/${path}?include_creds=true`, { key });
    return { ...(body.data['credentials'] as Values), custom: old.body.config['custom'] };
}
const changes = ({ body }: Applied): unknown => body.data.changes.map(({ path, kind, ...values }) => [path, kind, ...Object.values(values)]);
const issues = (answer: Applied): unknown[] => [answer.status, ...answer.body.error.errors.map(({ path }) => path.join('.'))];
const plain = { display_name: null, forward_webhooks: true, allowed_hosts: null };
const ref = (secret: string) => ({ secret });

describe('every auth mode', () => {
    const declared: Document['integrations'] = {
        oauth: {
            ...plain,
            provider: 'oauth',
            client_id: 'id',
            client_secret: ref('integrations.oauth.client_secret'),
            scopes: 'a,b',
            webhook_secret: ref('integrations.oauth.webhook_secret'),
            custom: { partner: ref('integrations.oauth.custom[partner]') },
        },
        oauth1: {
            ...plain,
            provider: 'oauth1',
            client_id: 'consumer',
            client_secret: ref('integrations.oauth1.client_secret'),
            scopes: null,
            webhook_secret: null,
            custom: {},
        },
        tba: { ...plain, provider: 'tba', client_id: null, client_secret: null, scopes: null, webhook_secret: null, custom: {} },
        mcp: {
            ...plain,
            provider: 'mcp',
            client_id: 'registered',
            client_secret: ref('integrations.mcp.client_secret'),
            scopes: null,
            webhook_secret: null,
            custom: {},
        },
        app: {
            ...plain,
            provider: 'app',
            app_id: '17',
            app_link: 'https://apps.example.com/17',
            private_key: ref('integrations.app.private_key'),
            custom: { webhookSecret: ref('integrations.app.custom[webhookSecret]') },
        },
        custom: {
            ...plain,
            provider: 'custom',
            client_id: 'id',
            client_secret: ref('integrations.custom.client_secret'),
            scopes: 'c',
            app_id: '17',
            app_link: 'https://apps.example.com/17',
            private_key: ref('integrations.custom.private_key'),
            custom: {},
        },
        'set-up': {
            provider: 'set-up',
            display_name: 'Set up',
            forward_webhooks: false,
            allowed_hosts: ['.example.com'],
            integration_config: {
                keyPlacement: 'header',
                keyName: 'X-Key',
                licenseToken: ref('integrations.set-up.integration_config[licenseToken]'),
            },
        },
        'two-step': { ...plain, provider: 'two-step', integration_config: {} },
        keys: { ...plain, provider: 'keys', custom: {} },
    };
    const secrets = {
        'integrations.oauth.client_secret': 'canary-1',
        'integrations.oauth.webhook_secret': 'canary-2',
        'integrations.oauth.custom[partner]': 'canary-3',
        'integrations.oauth1.client_secret': 'canary-4',
        'integrations.mcp.client_secret': 'canary-5',
        'integrations.app.private_key': pem,
        'integrations.app.custom[webhookSecret]': 'canary-6',
        'integrations.custom.client_secret': 'canary-7',
        'integrations.custom.private_key': pkcs8,
        'integrations.set-up.integration_config[licenseToken]': 'canary-8',
    };

    test('is created as declared, exported as it was declared, and applied again without a change', async () => {
        const first = await apply(declared, secrets);
        expect([first.status, first.body.data.changes.map(({ path }) => path)]).toEqual([
            200,
            Object.keys(declared).map((key) => `integrations.${key}`),
        ]);
        expect(await read()).toEqual(declared);
        expect((await apply(declared, secrets)).body.data.changes).toEqual([]);
        expect((await apply(declared)).body.data.changes).toEqual([]);

        expect(await secretsOf('oauth')).toEqual({
            type: 'OAUTH2',
            client_id: 'id',
            client_secret: 'canary-1',
            scopes: 'a,b',
            webhook_secret: 'canary-2',
            custom: { partner: 'canary-3', webhookSecret: 'canary-2' },
        });
        expect(await secretsOf('oauth1')).toMatchObject({ type: 'OAUTH1', client_id: 'consumer', client_secret: 'canary-4' });
        expect(await secretsOf('mcp')).toMatchObject({ type: 'OAUTH2', client_id: 'registered', client_secret: 'canary-5' });
        expect(await secretsOf('app')).toMatchObject({ ...credentialsOf.app, custom: { webhookSecret: 'canary-6' } });
        expect(await secretsOf('custom')).toMatchObject({ ...credentialsOf.custom, client_secret: 'canary-7', private_key: pkcs8 });
        expect(await secretsOf('set-up')).toEqual({ custom: { keyPlacement: 'header', keyName: 'X-Key', licenseToken: 'canary-8' } });
    });

    test('no answer has a secret, no clear column either', async () => {
        const answers = [
            await apply(declared, secrets),
            await valetkey.call('GET', '/environment/config'),
            await apply(declared, Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, value.replace('canary', 'canary-new')]))),
        ];
        const rows = await valetkey.query<{ text: string }>('select i::text as text from integrations i where deleted_at is null');
        expect(answers.map(({ text }) => text).join('')).not.toMatch(/canary|PRIVATE KEY/);
        expect(rows.map(({ text }) => text).join('')).not.toMatch(/canary|PRIVATE KEY/);
    });

    test('is changed field by field', async () => {
        await apply(declared, secrets);
        const answer = await apply(
            {
                oauth: { provider: 'oauth', client_id: 'other', scopes: null, webhook_secret: null, custom: {} },
                tba: { provider: 'tba', client_id: 'consumer', client_secret: ref('tba') },
                mcp: { provider: 'mcp', client_id: null, client_secret: null, webhook_secret: ref('mcp') },
                app: { provider: 'app', private_key: ref('app') },
                custom: { provider: 'custom', app_link: 'https://apps.example.com/18' },
                'set-up': {
                    provider: 'set-up',
                    display_name: null,
                    integration_config: { keyPlacement: 'query', timeout: '60', licenseToken: ref('l') },
                },
                keys: { provider: 'keys', forward_webhooks: false, custom: { constructor: ref('keys') } },
            },
            { tba: 'canary-tba', mcp: 'canary-mcp', app: pkcs8, l: 'canary-l', keys: 'canary-keys' },
        );
        expect(changes(answer)).toEqual([
            ['integrations.oauth.client_id', 'changed', 'id', 'other'],
            ['integrations.oauth.scopes', 'removed', 'a,b', null],
            ['integrations.oauth.webhook_secret', 'removed'],
            ['integrations.oauth.custom.partner', 'removed'],
            ['integrations.tba.client_id', 'added', null, 'consumer'],
            ['integrations.tba.client_secret', 'added'],
            ['integrations.mcp.client_id', 'removed', 'registered', null],
            ['integrations.mcp.client_secret', 'removed'],
            ['integrations.mcp.webhook_secret', 'added'],
            ['integrations.app.private_key', 'changed'],
            ['integrations.custom.app_link', 'changed', 'https://apps.example.com/17', 'https://apps.example.com/18'],
            ['integrations.set-up.display_name', 'removed', 'Set up', null],
            ['integrations.set-up.integration_config.keyPlacement', 'changed', 'header', 'query'],
            ['integrations.set-up.integration_config.keyName', 'removed', 'X-Key', null],
            ['integrations.set-up.integration_config.licenseToken', 'changed'],
            ['integrations.set-up.integration_config.timeout', 'added', null, '60'],
            ['integrations.keys.forward_webhooks', 'changed', true, false],
            ['integrations.keys.custom.constructor', 'added'],
        ]);
        expect(await secretsOf('oauth')).toMatchObject({
            client_id: 'other',
            client_secret: 'canary-1',
            scopes: null,
            webhook_secret: null,
            custom: null,
        });
        expect(await secretsOf('tba')).toMatchObject({ client_id: 'consumer', client_secret: 'canary-tba' });
        expect(await secretsOf('mcp')).toEqual({ custom: { webhookSecret: 'canary-mcp' } });
        expect(await secretsOf('app')).toMatchObject({ app_id: '17', private_key: pkcs8 });
        expect(await secretsOf('custom')).toMatchObject({ client_secret: 'canary-7', app_link: 'https://apps.example.com/18', private_key: pkcs8 });
        expect(await secretsOf('set-up')).toEqual({ custom: { keyPlacement: 'query', timeout: '60', licenseToken: 'canary-l' } });
        expect(await secretsOf('keys')).toEqual({ custom: { constructor: 'canary-keys' } });
        expect((await apply(await read())).body.data.changes).toEqual([]);
    });
});

describe('credentials', () => {
    test('without scopes, a new integration has the provider’s; null is none', async () => {
        const client = { client_id: 'id', client_secret: ref('s') };
        const some = { default: { provider: 'scoped', ...client }, none: { provider: 'scoped', ...client, scopes: null } };
        expect((await apply(some, { s: 'secret' })).status).toBe(200);
        expect(await read()).toMatchObject({ default: { scopes: 'read,write' }, none: { scopes: null } });
        expect((await apply(some, { s: 'secret' })).body.data.changes).toEqual([]);
    });

    test('another client secret gives connections that were lost for the old one another chance, an equal one does not', async () => {
        await createIntegration(valetkey, 'oauth', 'oauth', { credentials: credentialsOf.oauth });
        const { db } = valetkey.app.database;
        const [dev] = await valetkey.query<{ id: string }>(`select id from environments where name = 'dev'`);
        const error = { type: 'invalid_client', description: 'refused', log_id: '1', since: '', client_refused: true as const };
        const lost = await insertConnection(db, (await integrations.findByKey(db, dev!.id, 'oauth'))!, {
            auth_state: 'needs_reauth',
            auth_error: json(error),
        });
        const state = async () => (await valetkey.query<{ auth_state: string }>('select auth_state from connections where id = $1', [lost.id]))[0]!;
        const oauth = { provider: 'oauth', client_secret: ref('s') };
        expect((await apply({ oauth: { ...oauth, scopes: 'new' } }, { s: credentialsOf.oauth.client_secret })).status).toBe(200);
        expect(await state()).toEqual({ auth_state: 'needs_reauth' });
        expect((await apply({ oauth }, { s: 'another secret' })).status).toBe(200);
        expect(await state()).not.toEqual({ auth_state: 'needs_reauth' });
    });

    test('a private key may have blank lines around it', async () => {
        const app = { provider: 'app', app_id: '1', app_link: 'https://a.example', private_key: ref('k') };
        await apply({ app }, { k: `\n ${pem}\r\n` });
        expect(await secretsOf('app')).toMatchObject({ private_key: pem });
        expect((await apply({ app }, { k: `\n ${pem}\r\n` })).body.data.changes).toEqual([]);
    });

    const app = { app_id: '1', app_link: 'https://a.example' };
    test.each<[string, Values, Record<string, string>, string[]]>([
        ['OAuth without a client', { provider: 'oauth' }, {}, ['integrations.k']],
        ['OAuth without a secret', { provider: 'oauth1', client_id: 'id' }, {}, ['integrations.k']],
        ['half a client where none is needed', { provider: 'tba', client_id: 'id' }, {}, ['integrations.k']],
        ['an app without a key', { provider: 'app', ...app }, {}, ['integrations.k']],
        ['a custom app without its client', { provider: 'custom', ...app, private_key: ref('p') }, { p: pem }, ['integrations.k']],
        [
            'secrets without values',
            { provider: 'custom', ...app, client_id: 'id', client_secret: ref('s'), private_key: ref('p') },
            {},
            ['integrations.k.client_secret', 'integrations.k.private_key'],
        ],
        ['a key that is none', { provider: 'app', ...app, private_key: ref('p') }, { p: 'x' }, ['secrets.p']],
        ['a webhook secret that is too long', { provider: 'tba', webhook_secret: ref('w') }, { w: 'x'.repeat(256) }, ['secrets.w']],
        ['fields of another mode', { provider: 'keys', client_id: 'id', app_link: 'x' }, {}, ['integrations.k.client_id', 'integrations.k.app_link']],
        ['an app of an OAuth client', { provider: 'tba', app_id: 'id' }, {}, ['integrations.k.app_id']],
        ['a secret in the open', { provider: 'oauth', client_id: 'id', client_secret: 'x' }, {}, ['integrations.k.client_secret']],
        ['scopes with blanks', { provider: 'oauth', scopes: 'a b' }, {}, ['integrations.k.scopes']],
    ])('%s is refused', async (_name, k, secrets, expected) => {
        expect(issues(await apply({ k }, secrets))).toEqual([400, ...expected]);
        expect(await read()).toEqual({});
    });

    test('those that are needed cannot be taken away, nor half of a client', async () => {
        await createIntegration(valetkey, 'oauth', 'oauth', { credentials: credentialsOf.oauth });
        await createIntegration(valetkey, 'tba', 'tba', { credentials: credentialsOf.tba });
        expect(issues(await apply({ oauth: { provider: 'oauth', client_id: null, client_secret: null } }))).toEqual([400, 'integrations.oauth']);
        expect(issues(await apply({ tba: { provider: 'tba', client_secret: null } }))).toEqual([400, 'integrations.tba']);
    });
});

describe('settings', () => {
    const declare = (integration_config: Values, secrets?: Record<string, string>) =>
        apply({ s: { provider: 'set-up', integration_config } }, secrets);
    const settings = async () => (await read())['s']!['integration_config'];

    test.each<[string, Values, string[]]>([
        ['a missing one', { timeout: '3' }, ['integrations.s.integration_config']],
        ['an unknown one', { keyPlacement: 'query', colour: 'red' }, ['integrations.s.integration_config']],
        ['several at once', { keyPlacement: 'body', timeout: 'long' }, ['integrations.s.integration_config', 'integrations.s.integration_config']],
        ['a secret one in the open', { keyPlacement: 'query', licenseToken: 'x' }, ['integrations.s.integration_config.licenseToken']],
        ['a secret one without a value', { keyPlacement: 'query', licenseToken: ref('x') }, ['integrations.s.integration_config.licenseToken']],
        ['a number', { keyPlacement: 'query', timeout: 3 }, ['integrations.s.integration_config.timeout']],
    ])('with %s are refused', async (_name, config, expected) => {
        expect(issues(await declare(config))).toEqual([400, ...expected]);
    });

    test('that do not count are not kept, and not missed', async () => {
        expect((await declare({ keyPlacement: 'query', keyName: 'not visible', baseUrl: '' })).status).toBe(200);
        expect(await settings()).toEqual({ keyPlacement: 'query' });
        expect((await declare({ keyPlacement: 'query', keyName: 'not visible', baseUrl: '' })).body.data.changes).toEqual([]);
    });

    test('may all be references, and stay unseen then', async () => {
        const config = { keyPlacement: ref('place'), timeout: '5' };
        expect((await declare(config, { place: 'query' })).status).toBe(200);
        expect(changes(await declare(config, { place: 'query' }))).toEqual([]);
        expect(changes(await declare({ keyPlacement: ref('place'), keyName: ref('name') }, { place: 'header', name: 'X' }))).toEqual([
            ['integrations.s.integration_config.keyPlacement', 'changed'],
            ['integrations.s.integration_config.timeout', 'removed', '5', null],
            ['integrations.s.integration_config.keyName', 'added'],
        ]);
    });

    test('that are addresses with a password are secret', async () => {
        const integration_config = { keyPlacement: 'query', baseUrl: 'https://user:canary@api.example.com' };
        await createIntegration(valetkey, 's', 'set-up', { integration_config });
        expect(await settings()).toEqual({ keyPlacement: 'query', baseUrl: ref('integrations.s.integration_config[baseUrl]') });
        const answer = await declare({ ...integration_config, baseUrl: 'https://api.example.com' });
        expect(changes(answer)).toEqual([['integrations.s.integration_config.baseUrl', 'changed']]);
        const again = await apply({ new: { provider: 'set-up', integration_config } });
        expect([again.status, again.text]).toEqual([200, expect.not.stringContaining('canary')]);
    });

    test('that are only half there are left alone until they are declared otherwise', async () => {
        await createIntegration(valetkey, 's', 'set-up');
        await valetkey.call('PATCH', '/integrations/s', { body: { integration_config: { keyLabel: 'Label' } } });
        expect(await settings()).toEqual({ keyLabel: 'Label' });
        expect((await declare({ keyLabel: 'Label' })).body.data.changes).toEqual([]);
        expect(issues(await declare({ keyLabel: 'Other' }))).toEqual([400, 'integrations.s.integration_config']);
        expect(changes(await declare({}))).toEqual([['integrations.s.integration_config.keyLabel', 'removed', 'Label', null]]);
        expect(await settings()).toEqual({});
    });

    test('and own values exclude each other', async () => {
        expect(issues(await apply({ k: { provider: 'keys', integration_config: {} } }))).toEqual([400, 'integrations.k.integration_config']);
        expect(issues(await apply({ k: { provider: 'set-up', custom: {} } }))).toEqual([400, 'integrations.k.custom']);
    });
});

describe('values of the operator’s own', () => {
    test('are references, whatever they are called', async () => {
        expect(issues(await apply({ k: { provider: 'keys', custom: { a: 'x' } } }))).toEqual([400, 'integrations.k.custom.a']);
        expect(issues(await apply({ k: { provider: 'keys', custom: { toString: ref('x') } } }))).toEqual([400, 'integrations.k.custom.toString']);
        const oauth = { provider: 'oauth', client_id: 'id', client_secret: ref('s'), custom: { webhookSecret: ref('w') } };
        expect(issues(await apply({ oauth }, { s: 's', w: 'w' }))).toEqual([400, 'integrations.oauth.custom.webhookSecret']);
    });

    test('have names of their own among the references', async () => {
        await createIntegration(valetkey, 'a', 'keys', { custom: { client_secret: 'one', 'x].custom[y': 'two' } });
        await createIntegration(valetkey, 'a.custom', 'oauth', { credentials: credentialsOf.oauth });
        const names = JSON.stringify(await read()).match(/"integrations\.a[^"]*"/g)!;
        expect([names.length, new Set(names).size]).toEqual([3, 3]);
    });
});

test('of a provider that left the catalogue, only what has nothing to do with it can be declared', async () => {
    await createIntegration(valetkey, 'old', 'keys', { custom: { a: 'canary' } });
    await valetkey.query(`update integrations set provider = 'departed' where unique_key = 'old'`);
    const exported = await read();
    expect(exported).toEqual({ old: { ...plain, provider: 'departed' } });
    expect((await apply(exported)).body.data.changes).toEqual([]);
    expect(changes(await apply({ old: { provider: 'departed', display_name: 'Old' } }))).toEqual([
        ['integrations.old.display_name', 'added', null, 'Old'],
    ]);
    expect(issues(await apply({ old: { provider: 'departed', custom: {} } }))).toEqual([400, 'integrations.old.provider']);
    expect(issues(await apply(exported, undefined, valetkey.prodKey))).toEqual([400, 'integrations.old.provider']);
});

test('a change of the same integration that is not finished yet is waited for, and not written over', async () => {
    await createIntegration(valetkey, 'oauth', 'oauth', { credentials: credentialsOf.oauth });
    const { app, vault, query } = valetkey;
    const [dev] = await query<{ id: string }>(`select id from environments where name = 'dev'`);
    let applied: Promise<Applied> | undefined;
    await app.database.db.transaction().execute(async (transaction) => {
        const row = (await integrations.lockByKey(transaction, dev!.id, 'oauth'))!;
        applied = apply({ oauth: { provider: 'oauth', webhook_secret: ref('w') } }, { w: 'webhook' });
        await eventually(async () => {
            const waiting = await query(`select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
            expect(waiting).toHaveLength(1);
        });
        await changeIntegration(transaction, { vault, sources: systemSources }, row, await openSetup(vault, row), { custom: { a: 'a' } });
    });
    expect((await applied!).status).toBe(200);
    expect((await secretsOf('oauth'))['custom']).toEqual({ a: 'a', webhookSecret: 'webhook' });
});

describe('whatever there is', () => {
    const text = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });
    const custom = fc.dictionary(fc.constantFrom('a', 'webhookSecret', 'constructor', 'b].c', 'config'), text, { noNullPrototype: true });
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const client = (type: string) =>
        fc.record({
            type: fc.constant(type),
            client_id: text,
            client_secret: text,
            scopes: optional(fc.constantFrom('', 'a', 'a,b')),
            webhook_secret: optional(text),
        });
    const app = { app_id: text, app_link: text, private_key: fc.constantFrom(pem, pkcs8) };
    const settings = fc.record({
        keyPlacement: fc.constantFrom('header', 'query'),
        keyName: fc.constantFrom('X', 'Authorization'),
        keyPrefix: text.filter((value) => value.trim() !== ''),
        baseUrl: optional(fc.constantFrom('', 'https://a.example', 'https://user:password@a.example')),
        licenseToken: optional(text),
    });
    const plainFields = {
        display_name: optional(text),
        forward_webhooks: optional(fc.boolean()),
        allowed_hosts: optional(fc.constantFrom([], ['a.example'])),
    };
    const body = fc.oneof(
        fc.record({ provider: fc.constantFrom('oauth', 'scoped'), credentials: client('OAUTH2'), custom: optional(custom), ...plainFields }),
        fc.record({ provider: fc.constant('mcp'), credentials: optional(client('OAUTH2')), custom: optional(custom), ...plainFields }),
        fc.record({ provider: fc.constant('oauth1'), credentials: client('OAUTH1'), ...plainFields }),
        fc.record({ provider: fc.constant('tba'), credentials: optional(client('TBA')), custom: optional(custom), ...plainFields }),
        fc.record({
            provider: fc.constant('app'),
            credentials: fc.record({ type: fc.constant('APP'), ...app }),
            custom: optional(custom),
            ...plainFields,
        }),
        fc.record({
            provider: fc.constant('custom'),
            credentials: fc.record({ type: fc.constant('CUSTOM'), client_id: text, client_secret: text, ...app }),
            custom: optional(custom),
            ...plainFields,
        }),
        fc.record({ provider: fc.constant('set-up'), integration_config: optional(settings), ...plainFields }),
        fc.record({
            provider: fc.constant('two-step'),
            integration_config: optional(fc.record({ sender: optional(text), password: optional(text) })),
            ...plainFields,
        }),
    );
    /** One of each provider at most: in both environments, a key stands for one provider. */
    const set = fc.uniqueArray(body, { selector: ({ provider }) => provider, maxLength: 5 });

    /** By the names that an export gives them. */
    async function valuesFor(document: Document['integrations']): Promise<Record<string, string>> {
        const found: Record<string, string> = {};
        for (const [key, declared] of Object.entries(document)) {
            const { custom: own, ...credentials } = await secretsOf(key);
            const maps = [declared['integration_config'], declared['custom']];
            const references: [string, unknown][] = [...Object.entries(declared), ...maps.flatMap((map) => Object.entries(map ?? {}))];
            const values: Values = { ...(own as Values | null), ...credentials };
            for (const [name, value] of references) {
                if (value !== null && typeof value === 'object' && 'secret' in value && typeof value.secret === 'string') {
                    found[value.secret] = (name === 'webhook_secret' ? (own as Values)['webhookSecret'] : values[name]) as string;
                }
            }
        }
        return found;
    }

    test('exported and applied to another environment, whatever was there, makes it equal, and a second time changes nothing', async () => {
        await fc.assert(
            fc.asyncProperty(set, set, async (ours, theirs) => {
                await valetkey.query(`update integrations set deleted_at = now() where deleted_at is null`);
                for (const [key, bodies] of [[valetkey.key, ours] as const, [valetkey.prodKey, theirs] as const]) {
                    for (const integration of bodies) {
                        const made = await valetkey.call('POST', '/integrations', {
                            body: { ...integration, unique_key: integration.provider },
                            key,
                        });
                        expect(made.status, made.text).toBe(200);
                    }
                }
                const [document, before] = [await read(), await read(valetkey.prodKey)];
                const secrets = await valuesFor(document);
                const applied = await apply(document, secrets, valetkey.prodKey);
                expect(applied.status, applied.text).toBe(200);
                expect(await read(valetkey.prodKey)).toEqual({ ...before, ...document });
                for (const key of Object.keys(document)) {
                    const [one, other] = [await secretsOf(key), await secretsOf(key, valetkey.prodKey)];
                    expect(other).toEqual(one);
                }
                expect((await apply(document, secrets, valetkey.prodKey)).body.data.changes).toEqual([]);
                expect((await apply(document, undefined, valetkey.prodKey)).body.data.changes).toEqual([]);
            }),
            { numRuns: 40 },
        );
    });
});
