/** GET /integrations, GET /integrations/:uniqueKey and GET /config/:providerConfigKey: who sees what of an integration (http-api §7.1, §7.4, §7.7). */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ZodType } from 'zod';
import type { Endpoint } from '../../src/http/endpoint.ts';
import { providerEndpoints } from '../../src/http/endpoints/catalogue/providers.ts';
import { deleteIntegration as removeIntegration } from '../../src/http/endpoints/integrations/delete-integration.ts';
import { listIntegrations } from '../../src/http/endpoints/integrations/list-integrations.ts';
import { readConfig } from '../../src/http/endpoints/integrations/read-config.ts';
import { readIntegration } from '../../src/http/endpoints/integrations/read-integration.ts';
import { updateIntegration } from '../../src/http/endpoints/integrations/update-integration.ts';
import { webhookUrl } from '../../src/http/endpoints/integrations/integration-view.ts';
import type { Services } from '../../src/http/services.ts';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { makeProvider } from '../providers/make-provider.ts';
import { connectKey, createIntegration, createSession } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { codeOf, credentialsOf, everyMode, issues, pem } from './every-mode.ts';

interface View extends Record<string, unknown> {
    unique_key: string;
}

let valetkey: TestApp;
/** May read integrations, but not their credentials. */
let readKey: string;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: everyMode() });
    readKey = await valetkey.insertKey({ scopes: ['environment:integrations:read'] });
    await createIntegration(valetkey, 'second', 'oauth', { display_name: 'Second', credentials: { ...credentialsOf.oauth, scopes: 'a,b' } });
    await createIntegration(valetkey, 'a b~1', 'keys');
    await createIntegration(valetkey, 'first', 'oauth', { credentials: credentialsOf.oauth, allowed_hosts: ['.example.com'] });
    await createIntegration(valetkey, 'labelled', 'set-up', { integration_config: { keyPlacement: 'query', keyLabel: 'Acme key' } });
    await createIntegration(valetkey, 'preset', 'two-step', { integration_config: { sender: 'acme', password: 'a-sender-password' } });
    await createIntegration(valetkey, 'unset', 'two-step');
    // a day before all others
    await valetkey.query(`update integrations set created_at = created_at - interval '1 day' where unique_key = 'first'`);
    await valetkey.query(`update integrations set provider = 'vanished' where unique_key = 'unset'`);
});

afterAll(() => valetkey?.close());

const list = async (key?: string): Promise<View[]> => {
    const answer = await valetkey.call<{ data: View[] }>('GET', '/integrations', key === undefined ? {} : { key });
    expect(answer.status, answer.text).toBe(200);
    return answer.body.data;
};
const keysOf = (views: View[]): string[] => views.map((view) => view.unique_key);
const read = (path: string, key?: string): Promise<Answer<{ data: View }>> =>
    valetkey.call('GET', `/integrations/${path}`, key === undefined ? {} : { key });
const date = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

describe('GET /integrations', () => {
    test('lists those of the environment by provider, then by age', async () => {
        expect(keysOf(await list())).toEqual(['a b~1', 'first', 'second', 'labelled', 'preset', 'unset']);
        expect(await list(valetkey.prodKey)).toEqual([]);
    });

    test('shows the public form', async () => {
        expect((await list()).find((view) => view.unique_key === 'second')).toEqual({
            unique_key: 'second',
            provider: 'oauth',
            display_name: 'Second',
            logo: `${valetkey.url}/images/template-logos/oauth.svg`,
            forward_webhooks: true,
            created_at: date,
            updated_at: date,
        });
    });

    test('never shows credentials, whichever of the scopes a key has', async () => {
        const keys = await Promise.all(
            ['environment:integrations:list', 'environment:integrations:list_credentials'].map((scope) => valetkey.insertKey({ scopes: [scope] })),
        );
        const [byList, byListCredentials] = await Promise.all(keys.map(list));
        expect(byListCredentials).toEqual(byList);
        expect(JSON.stringify(byList)).not.toMatch(/a-client-secret|a-sender-password|"credentials"/);
    });

    test('a label and the names of preset credentials come from the settings', async () => {
        const views = await list();
        expect(views.find((view) => view.unique_key === 'labelled')).toMatchObject({ credentials_label: { apiKey: 'Acme key' } });
        expect(views.find((view) => view.unique_key === 'preset')).toMatchObject({ preconfigured_credentials: ['sender', 'password'] });
        for (const view of views.filter(({ unique_key }) => ['first', 'a b~1', 'unset'].includes(unique_key))) {
            expect(Object.keys(view)).toEqual(expect.not.arrayContaining(['credentials_label', 'preconfigured_credentials']));
        }
    });

    test('one whose provider has left the catalogue is listed, and flagged', async () => {
        const views = await list();
        expect(views.find((view) => view.unique_key === 'unset')).toMatchObject({
            provider: 'vanished',
            display_name: 'vanished',
            provider_available: false,
        });
        expect(views.filter((view) => 'provider_available' in view)).toHaveLength(1);
    });

    test('a session sees what it allows: all without restriction, otherwise those it names', async () => {
        const unrestricted = await createSession(valetkey, { tags: {}, allowed_integrations: [] });
        expect(keysOf(await list(unrestricted))).toEqual(keysOf(await list()));
        const restricted = await createSession(valetkey, { tags: {}, allowed_integrations: ['second', 'a b~1'] });
        expect(keysOf(await list(restricted))).toEqual(['a b~1', 'second']);
    });

    test('takes no query, not even a session’s token', async () => {
        const token = await createSession(valetkey);
        const answer = await valetkey.call('GET', `/integrations?connect_session_token=${token}`, { key: token });
        expect([answer.status, codeOf(answer), issues(answer)]).toEqual([400, 'invalid_query_params', [['unrecognized_keys', []]]]);
    });

    test('is one statement, however many there are', async () => {
        // Looked on, not replaced.
        const executed = vi.spyOn(valetkey.app.database.db.getExecutor(), 'executeQuery');
        try {
            await list();
            expect(executed.mock.calls.filter(([query]) => query.sql.includes('"integrations"'))).toHaveLength(1);
        } finally {
            executed.mockRestore();
        }
    });
});

describe('GET /integrations/:uniqueKey', () => {
    test('shows one, with the hosts it was given, and is kept by nobody in between', async () => {
        const answer = await read('first');
        expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
        expect(answer.body.data).toEqual({
            unique_key: 'first',
            provider: 'oauth',
            display_name: 'Test oauth',
            logo: `${valetkey.url}/images/template-logos/oauth.svg`,
            forward_webhooks: true,
            created_at: date,
            updated_at: date,
            allowed_hosts: ['.example.com'],
        });
        expect((await read('a%20b~1')).body.data).toMatchObject({ unique_key: 'a b~1' });
    });

    test.each([
        ['nothing', 404, 'not_found', undefined],
        ['unset', 404, 'not_found', undefined],
        ['a%2Fb', 400, 'invalid_uri_params', [['invalid_format', ['uniqueKey']]]],
        ['a%2Fb?x=1', 400, 'invalid_query_params', [['unrecognized_keys', []]]],
        ['first?include=everything', 400, 'invalid_query_params', [['invalid_union', ['include']]]],
        ['first?include=webhook&include=everything', 400, 'invalid_query_params', [['invalid_union', ['include']]]],
    ])('%s: %i %s', async (path, status, code, expected) => {
        const answer = await read(path);
        expect([answer.status, codeOf(answer), issues(answer)]).toEqual([status, code, expected]);
    });

    test('is not for sessions', async () => {
        const answer = await read('first', await createSession(valetkey));
        expect([answer.status, codeOf(answer)]).toEqual([401, 'invalid_secret_key_format']);
    });

    test('an integration of another environment is unknown', async () => {
        expect((await read('first', valetkey.prodKey)).status).toBe(404);
    });

    test('include: once, repeated, or in brackets', async () => {
        for (const query of [
            'include=webhook&include=credentials',
            'include[]=webhook&include[]=credentials',
            'include[0]=credentials&include[1]=webhook',
        ]) {
            expect((await read(`first?${query}`)).body.data).toMatchObject({ webhook_url: null, credentials: { client_id: 'id' } });
        }
        expect(Object.keys((await read('first?include=webhook')).body.data)).toEqual(expect.not.arrayContaining(['credentials']));
        expect(Object.keys((await read('first?include=credentials')).body.data)).toEqual(expect.not.arrayContaining(['webhook_url']));
    });

    test('without the scope to read credentials they are absent, and the answer is a success', async () => {
        const answer = await read('first?include=credentials&include=webhook', readKey);
        expect([answer.status, Object.keys(answer.body.data)]).toEqual([200, expect.not.arrayContaining(['credentials'])]);
        expect(answer.body.data).toMatchObject({ webhook_url: null });
        const credentialsKey = await valetkey.insertKey({ scopes: ['environment:integrations:read_credentials'] });
        expect((await read('first?include=credentials', credentialsKey)).body.data).toHaveProperty('credentials.client_secret', 'a-client-secret');
    });

    const plain = { scopes: null, webhook_secret: null };
    test.each<[string, Record<string, unknown> | undefined, unknown]>([
        [
            'oauth',
            { ...credentialsOf.oauth, scopes: 'a,b:c', webhook_secret: 'whs' },
            { ...credentialsOf.oauth, scopes: 'a,b:c', webhook_secret: 'whs' },
        ],
        ['scoped', credentialsOf.oauth, { ...credentialsOf.oauth, ...plain, scopes: 'read,write' }],
        ['scoped', { ...credentialsOf.oauth, scopes: '', webhook_secret: '' }, { ...credentialsOf.oauth, ...plain }],
        ['oauth1', credentialsOf.oauth1, { ...credentialsOf.oauth1, ...plain }],
        ['tba', credentialsOf.tba, { ...credentialsOf.tba, ...plain }],
        ['tba', undefined, { type: 'TBA', client_id: null, client_secret: null, ...plain }],
        ['app', credentialsOf.app, credentialsOf.app],
        ['app', { ...credentialsOf.app, private_key: `\n${pem}\n\n` }, credentialsOf.app],
        ['custom', credentialsOf.custom, credentialsOf.custom],
        ['mcp', credentialsOf.mcp, { ...credentialsOf.mcp, ...plain }],
        ['mcp', undefined, null],
        ['keys', undefined, null],
        ['two-step', undefined, null],
    ])('credentials of %s read back as they were given: %j', async (provider, credentials, expected) => {
        await createIntegration(valetkey, 'asked', provider, credentials === undefined ? {} : { credentials });
        try {
            expect((await read('asked?include=credentials')).body.data['credentials']).toEqual(expected);
        } finally {
            await valetkey.call('DELETE', '/integrations/asked');
        }
    });

    test('the webhook URL of a provider that sends webhooks names the environment and the integration', () => {
        const services = { config: { publicUrl: 'https://valetkey.example.org/base' } } as unknown as Services;
        const row = { environment_id: '0d7f2b1c-6a52-4b1e-9d58-3d5a4ad3a5b1', unique_key: 'a b@c' } as IntegrationRow;
        // Hooks are not run yet, so no catalogue with one can be loaded.
        expect(webhookUrl(services, row, makeProvider({ webhook_routing_script: 'acme' }))).toBe(
            'https://valetkey.example.org/base/webhook/0d7f2b1c-6a52-4b1e-9d58-3d5a4ad3a5b1/a%20b%40c',
        );
        expect(webhookUrl(services, row, makeProvider({ webhook_routing_script: '' }))).toBeNull();
    });
});

describe('GET /config/:providerConfigKey', () => {
    interface Config extends Record<string, unknown> {
        connections: { connection_id: string }[];
    }
    const config = (path: string, key?: string): Promise<Answer<{ config: Config }>> =>
        valetkey.call('GET', `/config/${path}`, { headers: { 'content-type': 'text/plain' }, ...(key === undefined ? {} : { key }) });

    test.each(['first', 'first?include_creds=TRUE&x[y]=z', 'first?include_creds=1', 'first?include_creds=true&include_creds=true'])(
        '%s: without credentials',
        async (path) => {
            const answer = await config(path, readKey);
            expect([answer.status, answer.body]).toEqual([200, { config: { unique_key: 'first', provider: 'oauth', syncs: [], actions: [] } }]);
        },
    );

    test.each([
        ['nothing', 'unknown_provider_config'],
        ['a%2Fb', 'unknown_provider_config'],
        ['unset', 'unknown_provider_template'],
    ])('%s: 400 %s', async (path, code) => {
        const answer = await config(path);
        expect([answer.status, answer.body]).toEqual([400, { error: { code, message: expect.any(String) as string, payload: {} } }]);
    });

    test('with credentials for those who may read them', async () => {
        const refused = await config('first?include_creds=true', readKey);
        expect([refused.status, codeOf(refused)]).toEqual([403, 'forbidden']);
        const answer = await config('second?include_creds=true');
        expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'no-store']);
        expect(answer.body.config).toEqual({
            unique_key: 'second',
            provider: 'oauth',
            syncs: [],
            actions: [],
            client_id: 'id',
            client_secret: 'a-client-secret',
            custom: null,
            scopes: 'a,b',
            app_link: null,
            auth_mode: 'OAUTH2',
            created_at: date,
            has_webhook: false,
            webhook_secret: null,
            webhook_url: null,
            has_webhook_user_defined_secret: false,
            docs: 'https://docs.example.com/oauth',
            connection_count: 0,
            connections: [],
        });
    });

    test('names the integration’s live connections', async () => {
        const token = await createSession(valetkey);
        const [one, two, gone] = [
            await connectKey(valetkey, 'a b~1', token),
            await connectKey(valetkey, 'a b~1', token),
            await connectKey(valetkey, 'a b~1', token),
        ];
        await valetkey.call('DELETE', `/connections/${gone}?provider_config_key=a%20b~1`);
        const { body } = await config('a%20b~1?include_creds=true');
        expect(body.config).toMatchObject({ connection_count: 2, client_id: null, client_secret: null });
        const [environment] = await valetkey.query<{ public_id: number }>(`select public_id::int from environments where name = 'dev'`);
        expect(body.config.connections).toEqual(
            [one, two].map((connection_id) => ({
                id: expect.any(Number) as number,
                connection_id,
                provider_config_key: 'a b~1',
                environment_id: environment!.public_id,
                connection_config: {},
            })),
        );
    });

    test.each(['app', 'custom'] as const)('the webhook secret of %s follows from the app', async (mode) => {
        await createIntegration(valetkey, `of ${mode}`, mode, { credentials: credentialsOf[mode] });
        const { body } = await config(`of%20${mode}?include_creds=true`);
        const key = Buffer.from(pem).toString('base64');
        expect(body.config).toMatchObject({
            app_link: credentialsOf[mode].app_link,
            webhook_secret: createHash('sha256').update(`17${key}${credentialsOf[mode].app_link}`).digest('hex'),
            ...(mode === 'app' ? { client_id: '17', client_secret: key } : { client_id: 'id', custom: { app_id: '17', private_key: key } }),
        });
    });
});

describe('the description of the API', () => {
    const none = {} as Services;
    const providers = providerEndpoints(none);
    test.each<[string, string, Endpoint]>([
        ['GET', '/integrations', listIntegrations(none)],
        ['GET', '/integrations/first?include=webhook&include=credentials', readIntegration(none)],
        ['GET', '/integrations/labelled?include=credentials', readIntegration(none)],
        ['GET', '/integrations/described app?include=credentials', readIntegration(none)],
        ['GET', '/integrations/described custom?include=credentials', readIntegration(none)],
        ['GET', '/config/first', readConfig(none)],
        ['GET', '/config/described custom?include_creds=true', readConfig(none)],
        ['PATCH', '/integrations/first', updateIntegration(none)],
        ['DELETE', '/integrations/described app', removeIntegration(none)],
        ['GET', '/providers', providers[0]!],
        ['GET', '/providers/set-up', providers[1]!],
        ['GET', '/providers.json', providers[2]!],
    ])('has every member of the answer of %s %s', async (method, path, { answers }) => {
        for (const mode of ['app', 'custom'] as const) {
            await valetkey.call('POST', '/integrations', {
                body: { provider: mode, unique_key: `described ${mode}`, credentials: credentialsOf[mode] },
            });
        }
        const answer = await valetkey.call(method, path.replaceAll(' ', '%20'), method === 'PATCH' ? { body: {} } : {});
        expect(answer.status).toBe(200);
        // What a schema does not name, it leaves out.
        expect((answers![200] as ZodType).parse(answer.body)).toEqual(answer.body);
    });
});
