/** The settings of an environment as one document (S7): exported, applied, applied again. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

interface Change {
    path: string;
    kind: string;
    from?: unknown;
    to?: unknown;
}
type Applied = Answer<{
    data: { dry_run: boolean; changes: Change[] };
    error: { code: string; message: string; errors: { code: string; path: string[] }[] };
}>;

const providers = {
    ...untestedKeyEntry('keyed'),
    flow: {
        display_name: 'Flow',
        categories: ['other'],
        auth_mode: 'OAUTH2',
        authorization_url: 'https://provider.example.com/authorize',
        token_url: 'https://provider.example.com/token',
        default_scopes: ['read', 'write'],
    },
};

/** Everything that a document can say. */
const full = {
    version: 1,
    environment: {
        callback_url: 'https://app.example.com/cb',
        accepts_forwarded_callbacks: true,
        accept_unverified_credentials: true,
        hmac_enabled: true,
        hmac_key: { secret: 'hmac' },
        slack_notifications: true,
        otlp_endpoint: 'https://otlp.example.com/',
        otlp_headers: [{ name: 'authorization', value: { secret: 'otlp' } }],
        allowed_return_urls: ['https://app.example.com'],
    },
    connect_ui: {
        defaultTheme: 'dark',
        theme: { light: { primary: '#fff' }, dark: { primary: '#000000' } },
        showWatermark: true,
        closeOnSuccess: true,
    },
    webhooks: { primary_url: 'https://hooks.example.com/', secondary_url: null, on_auth_creation: false },
    variables: [{ name: 'A', value: { secret: 'variable a' } }],
    integrations: {
        flow: { provider: 'flow', client_id: 'client', client_secret: { secret: 'flow secret' }, allowed_hosts: ['.example.com'] },
        keys: { provider: 'keyed', display_name: 'Keys', forward_webhooks: false },
    },
};
const secrets = { hmac: 'canary-hmac', otlp: 'canary-otlp', 'variable a': 'canary-variable', 'flow secret': 'canary-client' };

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: JSON.stringify(providers) });
});
afterAll(() => valetkey?.close());
beforeEach(async () => {
    await valetkey.query('delete from integrations');
    await valetkey.query('delete from environment_variables');
    await valetkey.query('update environments set callback_url = null, accepts_forwarded_callbacks = false, accept_unverified_credentials = false');
    await valetkey.query(
        `update environment_settings set hmac_enabled = default, sealed_hmac_key = null, slack_notifications = default, otlp_endpoint = null,
         sealed_otlp_headers = null, allowed_return_urls = default, previous_callback_urls = default, connect_ui = null`,
    );
    await valetkey.query('update webhook_settings set on_auth_creation = true');
    await valetkey.query('delete from webhook_endpoints');
});

const apply = (body: unknown, { query = '', key = valetkey.key } = {}): Promise<Applied> =>
    valetkey.call('PUT', `/environment/config${query}`, { body, key });
const read = async (key = valetkey.key): Promise<Record<string, unknown>> => (await valetkey.call('GET', '/environment/config', { key })).body;
const paths = ({ body }: Applied): string[] => body.data.changes.map(({ path }) => path).toSorted();
const issues = ({ body }: Applied): unknown => body.error.errors.map(({ code, path }) => [code, path.join('.')]);

describe('exporting', () => {
    test('an untouched environment says its defaults', async () => {
        expect(await read()).toEqual({
            version: 1,
            environment: {
                callback_url: null,
                accepts_forwarded_callbacks: false,
                accept_unverified_credentials: false,
                hmac_enabled: false,
                hmac_key: null,
                slack_notifications: false,
                otlp_endpoint: null,
                otlp_headers: [],
                allowed_return_urls: [],
            },
            connect_ui: {
                defaultTheme: 'system',
                theme: { light: { primary: '#1f5eff' }, dark: { primary: '#7aa2ff' } },
                showWatermark: false,
                closeOnSuccess: false,
            },
            webhooks: {
                primary_url: null,
                secondary_url: null,
                on_auth_creation: true,
                on_auth_refresh_error: true,
                on_sync_completion_always: true,
                on_sync_error: true,
                on_async_action_completion: true,
                endpoints: [],
            },
            variables: [],
            integrations: {},
        });
    });

    test('secrets are references, and nowhere in the answer', async () => {
        await apply({ ...full, secrets });
        const answer = await valetkey.call('GET', '/environment/config');
        expect(answer.text).not.toContain('canary');
        expect(answer.body).toMatchObject({
            environment: {
                ...full.environment,
                hmac_key: { secret: 'environment.hmac_key' },
                otlp_headers: [{ name: 'authorization', value: { secret: 'environment.otlp_headers.authorization' } }],
            },
            variables: [{ name: 'A', value: { secret: 'variables.A' } }],
            integrations: {
                flow: { ...full.integrations.flow, client_secret: { secret: 'integrations.flow.client_secret' }, scopes: 'read,write' },
                keys: full.integrations.keys,
            },
        });
        expect((answer.body['integrations'] as Record<string, object>)['keys']).not.toHaveProperty('client_id');
    });

    test('what it says, applied to the same environment, changes nothing', async () => {
        await apply({ ...full, secrets });
        const answer = await apply(await read());
        expect([answer.status, answer.body.data.changes]).toEqual([200, []]);
    });

    test('what it says, applied to another environment with the secrets, makes that one the same', async () => {
        await apply({ ...full, secrets });
        const document = await read();
        const values = {
            'environment.hmac_key': 'h',
            'environment.otlp_headers.authorization': 'o',
            'variables.A': 'v',
            'integrations.flow.client_secret': 'c',
        };
        expect((await apply({ ...document, secrets: values }, { key: valetkey.prodKey })).status).toBe(200);
        expect(await read(valetkey.prodKey)).toEqual(document);
    });

    test('leaves out what the key may not read', async () => {
        const settings = await valetkey.insertKey({ scopes: ['environment:settings:read'] });
        expect(Object.keys(await read(settings))).toEqual(['version', 'environment', 'connect_ui']);
        const more = await valetkey.insertKey({
            scopes: ['environment:settings:read', 'environment:webhooks:read', 'environment:integrations:list'],
        });
        expect(Object.keys(await read(more))).toEqual(['version', 'environment', 'connect_ui', 'webhooks']);
    });
});

describe('applying', () => {
    const everyPath = [
        'connect_ui',
        'environment.accept_unverified_credentials',
        'environment.accepts_forwarded_callbacks',
        'environment.allowed_return_urls',
        'environment.callback_url',
        'environment.hmac_enabled',
        'environment.hmac_key',
        'environment.otlp_endpoint',
        'environment.otlp_headers',
        'environment.slack_notifications',
        'integrations.flow',
        'integrations.keys',
        'variables.A',
        'webhooks.on_auth_creation',
        'webhooks.primary_url',
    ];

    test('makes everything as the document says, once', async () => {
        const first = await apply({ ...full, secrets });
        expect([first.status, paths(first)]).toEqual([200, everyPath]);
        expect(first.text).not.toContain('canary');
        const second = await apply({ ...full, secrets });
        expect([second.status, second.body.data]).toEqual([200, { dry_run: false, changes: [] }]);

        const settings = await valetkey.call<{ data: object }>('GET', '/environment');
        expect(settings.body.data).toMatchObject({
            callback_url: 'https://app.example.com/cb',
            hmac_key_set: true,
            otlp_headers: [{ name: 'authorization' }],
            previous_callback_urls: [`${valetkey.url}/oauth/callback`],
        });
        expect((await valetkey.call('GET', '/environment-variables')).body).toEqual([{ name: 'A', value: 'canary-variable' }]);
        expect((await valetkey.call<{ data: object }>('GET', '/environment/webhooks')).body.data).toMatchObject(full.webhooks);
        expect((await valetkey.call<{ data: object }>('GET', '/environment/connect-ui')).body.data).toEqual(full.connect_ui);
        const [row] = await valetkey.query<Record<string, string>>(`select * from integrations where unique_key = 'flow'`);
        const place = { environmentId: row!['environment_id']!, table: 'integrations', column: 'sealed_oauth_client_secret', rowId: row!['id']! };
        expect(valetkey.vault.open(row!['sealed_oauth_client_secret']!, place)).toBe('canary-client');
        expect(row).toMatchObject({ oauth_client_id: 'client', oauth_scopes: 'read,write', allowed_hosts: ['.example.com'] });
    });

    test('four times at once is as good as once', async () => {
        const answers = await Promise.all(Array.from({ length: 4 }, () => apply({ ...full, secrets })));
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
        expect(answers.map((answer) => paths(answer).length).toSorted((a, b) => a - b)).toEqual([0, 0, 0, everyPath.length]);
    });

    test('with dry_run says the same and changes nothing', async () => {
        const before = await read();
        const answer = await apply({ ...full, secrets }, { query: '?dry_run=true' });
        expect([answer.status, answer.body.data.dry_run, paths(answer)]).toEqual([200, true, everyPath]);
        expect(await read()).toEqual(before);
    });

    test('lists what is before and after, but for secrets', async () => {
        await apply({ ...full, secrets });
        const answer = await apply({
            version: 1,
            environment: { hmac_key: null, otlp_endpoint: '', slack_notifications: false, otlp_headers: full.environment.otlp_headers },
            variables: full.variables,
            integrations: { flow: { ...full.integrations.flow, scopes: 'read' } },
            secrets: { ...secrets, 'flow secret': 'canary-new', otlp: 'canary-other', hmac: undefined },
        });
        expect(answer.body.data.changes).toEqual([
            { path: 'environment.slack_notifications', kind: 'changed', from: true, to: false },
            { path: 'environment.otlp_endpoint', kind: 'removed', from: 'https://otlp.example.com/', to: null },
            { path: 'environment.hmac_key', kind: 'removed' },
            { path: 'environment.otlp_headers.authorization', kind: 'changed' },
            { path: 'integrations.flow.client_secret', kind: 'changed' },
            { path: 'integrations.flow.scopes', kind: 'changed', from: 'read,write', to: 'read' },
        ]);
    });

    test('leaves alone what the document does not mention', async () => {
        await apply({ ...full, secrets });
        const before = await read();
        const answer = await apply({
            version: 1,
            environment: { hmac_enabled: false },
            webhooks: { on_sync_error: false },
            variables: [{ name: 'B', value: { secret: 'b' } }],
            integrations: { more: { provider: 'keyed' } },
            secrets: { b: 'value' },
        });
        expect(paths(answer)).toEqual(['environment.hmac_enabled', 'integrations.more', 'variables.B', 'webhooks.on_sync_error']);
        expect(await read()).toEqual({
            ...before,
            environment: { ...(before['environment'] as object), hmac_enabled: false },
            webhooks: { ...(before['webhooks'] as object), on_sync_error: false },
            variables: [...(before['variables'] as object[]), { name: 'B', value: { secret: 'variables.B' } }],
            integrations: {
                ...(before['integrations'] as object),
                more: { provider: 'keyed', display_name: null, forward_webhooks: true, allowed_hosts: null, custom: {} },
            },
        });
        await valetkey.query('update webhook_settings set on_sync_error = true');
    });

    test('webhook endpoints go by their URLs; what is not mentioned stays, and whether one is enabled is not configuration', async () => {
        const [a, b] = [{ url: 'https://hooks.example.com/a' }, { url: 'https://hooks.example.com/b' }];
        const rest = {
            description: null,
            events: ['auth.creation', 'auth.override', 'auth.refresh'],
            follow_redirects: true,
            own_signing_key: false,
        };
        expect(paths(await apply({ version: 1, webhooks: { endpoints: [a] } }))).toEqual([`webhooks.endpoints.${a.url}`]);
        const named = { ...b, ...rest, events: ['auth.deletion'], own_signing_key: true };
        expect(paths(await apply({ version: 1, webhooks: { endpoints: [named, a] } }))).toEqual([`webhooks.endpoints.${b.url}`]);
        await valetkey.query(`update webhook_endpoints set disabled_at = now(), disabled_reason = 'failing'`);
        expect(paths(await apply({ version: 1, webhooks: { endpoints: [{ ...a, description: 'new' }] } }))).toEqual([`webhooks.endpoints.${a.url}`]);

        const exported = await read();
        expect((exported['webhooks'] as { endpoints: unknown }).endpoints).toEqual([{ ...a, ...rest, description: 'new' }, named]);
        expect(paths(await apply(exported))).toEqual([]);
        expect(await valetkey.query('select url from webhook_endpoints where disabled_at is not null')).toHaveLength(2);
        const twice = await apply({ version: 1, webhooks: { endpoints: [a, a] } });
        expect(twice.status).toBe(400);
    });

    test('a reference without a value keeps what is stored, and is a mistake where nothing is', async () => {
        const missing = await apply(full);
        expect([missing.status, issues(missing)]).toEqual([
            400,
            [
                ['custom', 'environment.hmac_key'],
                ['custom', 'environment.otlp_headers.0.value'],
                ['custom', 'variables.0.value'],
                ['custom', 'integrations.flow.client_secret'],
            ],
        ]);
        await apply({ ...full, secrets });
        expect((await apply(full)).body.data.changes).toEqual([]);
        expect((await valetkey.call('GET', '/environment-variables')).body).toEqual([{ name: 'A', value: 'canary-variable' }]);
    });

    test('all or nothing: one mistake, and nothing is changed', async () => {
        const before = await read();
        const answer = await apply({ ...full, integrations: { ...full.integrations, other: { provider: 'nowhere' } }, secrets });
        expect([answer.status, issues(answer)]).toEqual([400, [['custom', 'integrations.other.provider']]]);
        expect(await read()).toEqual(before);
    });

    test.each<[string, Record<string, unknown>, unknown]>([
        ['another version', { version: 2 }, [['invalid_value', 'version']]],
        ['no version', { version: undefined }, [['invalid_value', 'version']]],
        ['an unknown section', { keys: [] }, [['unrecognized_keys', '']]],
        ['an unknown setting', { environment: { name: 'x' } }, [['unrecognized_keys', 'environment']]],
        ['a secret in the open', { environment: { hmac_key: 'k' } }, [['invalid_union', 'environment.hmac_key']]],
        ['a forbidden webhook URL', { webhooks: { primary_url: 'https://10.0.0.1/' } }, [['custom', 'webhooks.primary_url']]],
        [
            'a colour that is none',
            { connect_ui: { ...full.connect_ui, theme: { light: { primary: 'red' }, dark: { primary: '#000' } } } },
            [['invalid_format', 'connect_ui.theme.light.primary']],
        ],
        ['twins among variables', { variables: [full.variables[0], full.variables[0]] }, [['custom', 'variables.1.name']]],
        ['a secret that nothing refers to', { secrets: { typo: 'x' } }, [['custom', 'secrets.typo']]],
        [
            'a variable that is too long',
            { variables: full.variables, secrets: { 'variable a': 'v'.repeat(4001) } },
            [['custom', 'secrets.variable a']],
        ],
        [
            'a client where there is none',
            { integrations: { keys: { provider: 'keyed', client_id: 'x' } } },
            [['custom', 'integrations.keys.client_id']],
        ],
        ['no client where one is needed', { integrations: { flow: { provider: 'flow', client_id: 'x' } } }, [['custom', 'integrations.flow']]],
    ])('%s is refused', async (_name, body, expected) => {
        const answer = await apply({ version: 1, ...body });
        expect([answer.status, issues(answer)]).toEqual([400, expected]);
    });

    test('an integration does not change its provider', async () => {
        await apply({ ...full, secrets });
        expect(issues(await apply({ version: 1, integrations: { keys: { provider: 'flow' } } }))).toEqual([['custom', 'integrations.keys.provider']]);
    });

    test('a hundred variables are the most, those that exist included', async () => {
        const many = Array.from({ length: 100 }, (_, index) => ({ name: `n${index}`, value: 'v' }));
        await valetkey.call('PUT', '/environment-variables', { body: many });
        expect(issues(await apply({ version: 1, variables: full.variables, secrets: { 'variable a': 'x' } }))).toEqual([['custom', 'variables']]);
    });

    test('each section needs the scope that its own endpoint needs', async () => {
        const key = await valetkey.insertKey({ scopes: ['environment:settings:update', 'environment:integrations:create'] });
        const status = async (body: object): Promise<unknown[]> => {
            const answer = await apply({ version: 1, ...body }, { key });
            return [answer.status, /Required: (\S+)/.exec(answer.text)?.[1]?.replace(/".*/, '')];
        };
        expect(await status({ environment: { hmac_enabled: true }, connect_ui: full.connect_ui })).toEqual([200, undefined]);
        expect(await status({ webhooks: {} })).toEqual([403, 'environment:webhooks:write']);
        expect(await status({ variables: [] })).toEqual([403, 'environment:variables:write']);
        expect(await status({ integrations: {} })).toEqual([403, 'environment:integrations:update']);
    });

    test('takes dry_run as every boolean is taken, and no other query', async () => {
        expect((await apply({ version: 1 }, { query: '?dry_run=no' })).body.data).toEqual({ dry_run: false, changes: [] });
        expect((await apply({ version: 1 }, { query: '?dry_run=maybe' })).body.error.code).toBe('invalid_query_params');
        expect((await apply({ version: 1 }, { query: '?dryrun=1' })).body.error.code).toBe('invalid_query_params');
    });
});
