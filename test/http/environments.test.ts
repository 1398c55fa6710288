/** /environments (http-api §10.1, §10.2; webhooks §4.1, §9 no. 24). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { hmacKeyPlace, otlpHeadersPlace } from '../../src/environments/settings-places.ts';
import { sealedColumns } from '../../src/store/sealed-columns.ts';
import { apiKeyEntry, oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { listen, type HttpServer } from '../peers/http-server.ts';
import { connectKey, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

let valetkey: TestApp;
let account: string;
/** A provider that takes its time. */
let provider: HttpServer;
let onProviderCall: () => Promise<void>;

beforeAll(async () => {
    provider = await listen((_request, response) => void onProviderCall().then(() => response.end('{}')));
    const server = { authorizationEndpoint: 'https://auth.example.com/authorize', tokenEndpoint: 'https://auth.example.com/token' };
    valetkey = await startTestApp({
        providers: providersFile(untestedKeyEntry('keys'), oauth2Entry('oauth', server), apiKeyEntry('slow', `http://127.0.0.1:${provider.port}`)),
    });
    account = valetkey.app.newApiKeys.get('account')!;
});

afterAll(async () => {
    await valetkey?.close();
    await provider?.close();
});

const post = (body: unknown, key = account): Promise<Answer<{ data: { id: number; name: string } }>> =>
    valetkey.call('POST', '/environments', { key, body });
const create = async (name: string): Promise<number> => {
    const answer = await post({ name });
    expect(answer.status, answer.text).toBe(200);
    return answer.body.data.id;
};
const remove = (id: number | string, key = account): Promise<Answer> => valetkey.call('DELETE', `/environments/${id}`, { key });
const names = async (): Promise<string[]> =>
    (await valetkey.call<{ data: { name: string }[] }>('GET', '/environments', { key: account })).body.data.map(({ name }) => name);
const error = (answer: Answer<unknown>): [number, string] => [answer.status, (answer.body as { error: { code: string } }).error.code];
const issues = (answer: Answer<unknown>): unknown =>
    (answer.body as { error: { errors?: { code: string; path: string[] }[] } }).error.errors?.map(({ code, path }) => [code, path]);
/** A key with full access to it. */
const keyOf = async (environmentId: number, name = 'test'): Promise<string> => {
    const body = { environment_id: environmentId, display_name: name };
    return (await valetkey.call<{ data: { secret: string } }>('POST', '/environment/api-keys', { key: account, body })).body.data.secret;
};
const rowId = async (publicId: number): Promise<string> =>
    (await valetkey.query<{ id: string }>('select id from environments where public_id = $1', [publicId]))[0]!.id;

describe('POST /environments', () => {
    test('makes the environment whole: a key with full access, a signing key, webhook settings', async () => {
        const answer = await post({ name: 'staging' });
        expect([answer.status, answer.body]).toEqual([200, { data: { id: expect.any(Number) as number, name: 'staging' } }]);
        const environment = answer.body.data.id;
        const keys = await valetkey.call('GET', `/environment/api-keys?environment_id=${environment}`, { key: account });
        expect(keys.body).toMatchObject({ data: [{ display_name: 'Default - Full access', scopes: ['environment:*'], origin: 'created' }] });
        const key = await keyOf(environment);
        expect((await valetkey.call('GET', '/environment', { key })).body).toMatchObject({
            data: {
                id: environment,
                name: 'staging',
                is_production: false,
                callback_url: `${valetkey.url}/oauth/callback`,
                accepts_forwarded_callbacks: false,
            },
        });
        expect((await valetkey.call('GET', '/environment/webhook-signing-key', { key })).status).toBe(200);
        expect((await valetkey.call('GET', '/environment/webhooks', { key })).body).toMatchObject({
            data: { primary_url: null, on_auth_creation: true, on_auth_refresh_error: true },
        });
        expect(
            await valetkey.query('select hmac_enabled, sealed_hmac_key from environment_settings where environment_id = $1', [
                await rowId(environment),
            ]),
        ).toEqual([{ hmac_enabled: false, sealed_hmac_key: null }]);
    });

    test('keeps the settings that it is given, secrets sealed', async () => {
        const answer = await post({
            name: 'with-settings',
            is_production: true,
            callback_url: 'https://app.example.com/callback',
            hmac_key: 'the-hmac-key',
            hmac_enabled: true,
            slack_notifications: true,
            otlp_endpoint: 'https://otlp.example.com/v1',
            otlp_headers: [{ name: 'authorization', value: 'the-otlp-header' }],
        });
        const environment = await rowId(answer.body.data.id);
        const key = await keyOf(answer.body.data.id);
        expect((await valetkey.call('GET', '/environment', { key })).body).toMatchObject({
            data: { is_production: true, callback_url: 'https://app.example.com/callback' },
        });
        const [row] = await valetkey.query<Record<string, string>>('select * from environment_settings where environment_id = $1', [environment]);
        expect(row).toMatchObject({ hmac_enabled: true, slack_notifications: true, otlp_endpoint: 'https://otlp.example.com/v1' });
        expect(JSON.stringify(row)).not.toMatch(/the-hmac-key|the-otlp-header/);
        const place = { id: row!['id']!, environment_id: environment };
        expect(valetkey.vault.open(row!['sealed_hmac_key']!, hmacKeyPlace(place))).toBe('the-hmac-key');
        expect(valetkey.vault.openJson(row!['sealed_otlp_headers']!, otlpHeadersPlace(place))).toEqual([
            { name: 'authorization', value: 'the-otlp-header' },
        ]);
        expect(() => valetkey.vault.open(row!['sealed_hmac_key']!, otlpHeadersPlace(place))).toThrow();
    });

    test('empty settings are none', async () => {
        const { id } = (await post({ name: 'empty-settings', hmac_key: '', otlp_endpoint: '', otlp_headers: [] })).body.data;
        expect(
            await valetkey.query('select sealed_hmac_key, otlp_endpoint, sealed_otlp_headers from environment_settings where environment_id = $1', [
                await rowId(id),
            ]),
        ).toEqual([{ sealed_hmac_key: null, otlp_endpoint: null, sealed_otlp_headers: null }]);
    });

    test.each<[string, unknown, unknown]>([
        ['no name', {}, [['invalid_type', ['name']]]],
        ['capitals', { name: 'Staging' }, [['invalid_format', ['name']]]],
        ['nothing in the name', { name: '' }, [['invalid_format', ['name']]]],
        ['a name that is too long', { name: 'x'.repeat(256) }, [['too_big', ['name']]]],
        // vk_account_… are the keys of the account
        ['the name of the account', { name: 'account' }, [['custom', ['name']]]],
        ['a flag that is text', { name: 'x', is_production: 'true' }, [['invalid_type', ['is_production']]]],
        ['what is no URL', { name: 'x', callback_url: 'app' }, [['invalid_format', ['callback_url']]]],
        ['a callback that no browser follows', { name: 'x', callback_url: 'ftp://a/b' }, [['invalid_format', ['callback_url']]]],
        ['an HMAC key that is too long', { name: 'x', hmac_key: 'k'.repeat(1001) }, [['too_big', ['hmac_key']]]],
        ['an endpoint that is no URL', { name: 'x', otlp_endpoint: 'otlp' }, [['invalid_union', ['otlp_endpoint']]]],
        ['an empty header name', { name: 'x', otlp_headers: [{ name: '', value: 'v' }] }, [['too_small', ['otlp_headers', '0', 'name']]]],
        [
            'a header value that is too long',
            { name: 'x', otlp_headers: [{ name: 'n', value: 'v'.repeat(4001) }] },
            [['too_big', ['otlp_headers', '0', 'value']]],
        ],
        ['101 headers', { name: 'x', otlp_headers: Array.from({ length: 101 }, () => ({ name: 'n', value: 'v' })) }, [['too_big', ['otlp_headers']]]],
        ['an unknown member', { name: 'x', uuid: 'mine' }, [['unrecognized_keys', []]]],
    ])('with %s is refused', async (_name, body, expected) => {
        const answer = await post(body);
        expect([...error(answer), issues(answer)]).toEqual([400, 'invalid_body', expected]);
        expect(await names()).not.toContain('x');
    });

    test('a query is refused before the body is looked at', async () => {
        expect(error(await valetkey.call('POST', '/environments?a=b', { key: account, body: {} }))).toEqual([400, 'invalid_query_params']);
    });

    test('what is wrong is said in the contract’s order: scope for production, then prod’s flag, then the name', async () => {
        const creator = await valetkey.insertKey({ scopes: ['account:environments:create'], environment: null });
        const refusal = await post({ name: 'production-2', is_production: true }, creator);
        expect([refusal.status, refusal.body]).toEqual([
            403,
            { error: { code: 'forbidden', message: expect.stringContaining('account:environments:set_production') as string } },
        ]);
        expect(error(await post({ name: 'prod' }, creator))).toEqual([403, 'forbidden']);
        expect(error(await post({ name: 'prod', is_production: true }, creator))).toEqual([403, 'forbidden']);
        expect(error(await post({ name: 'prod', is_production: false }, creator))).toEqual([400, 'invalid_is_prod_flag']);
        expect(error(await post({ name: 'prod' }))).toEqual([409, 'conflict']);
        expect(error(await post({ name: 'dev' }, creator))).toEqual([409, 'conflict']);
        expect((await post({ name: 'plain', is_production: false }, creator)).status).toBe(200);
        const both = await valetkey.insertKey({ scopes: ['account:environments:create', 'account:environments:set_production'], environment: null });
        expect((await post({ name: 'production-2', is_production: true }, both)).status).toBe(200);
    });

    test('of simultaneous creations of the same name one succeeds, and leaves nothing of the others', async () => {
        const answers = await Promise.all([1, 2, 3, 4].map(() => post({ name: 'race' })));
        expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409]);
        for (const table of ['api_keys', 'webhook_signing_keys', 'webhook_settings', 'environment_settings']) {
            const rows = await valetkey.query(`select 1 from ${table} t join environments e on e.id = t.environment_id where e.name = 'race'`);
            expect([table, rows.length]).toEqual([table, 1]);
        }
    });

    test('repeated with its Idempotency-Key answers the same, and makes nothing', async () => {
        const again = (): Promise<Answer> =>
            valetkey.call('POST', '/environments', { key: account, body: { name: 'retried' }, headers: { 'idempotency-key': 'retry-1' } });
        const [first, second] = [await again(), await again()];
        expect([first.status, second.status, second.body]).toEqual([200, 200, first.body]);
    });

    test('is not for environment keys', async () => {
        expect(error(await post({ name: 'x' }, valetkey.key))).toEqual([403, 'forbidden']);
    });
});

test('GET /environments lists them for an account key', async () => {
    const answer = await valetkey.call<{ data: Record<string, unknown>[] }>('GET', '/environments', { key: account });
    expect(answer.status).toBe(200);
    const shape = z.strictObject({ id: z.int(), uuid: z.uuid(), name: z.string(), is_production: z.boolean(), created_at: z.iso.datetime() });
    z.strictObject({ data: z.array(shape) }).parse(answer.body);
    expect(answer.body.data).toEqual(
        expect.arrayContaining([
            expect.objectContaining({ name: 'dev', is_production: false }) as object,
            expect.objectContaining({ name: 'prod', is_production: true }) as object,
        ]),
    );
    expect(error(await valetkey.call('GET', '/environments'))).toEqual([403, 'forbidden']);
    const creator = await valetkey.insertKey({ scopes: ['account:environments:create'], environment: null });
    expect(error(await valetkey.call('GET', '/environments', { key: creator }))).toEqual([403, 'forbidden']);
});

describe('DELETE /environments/:environmentId', () => {
    test.each(['x', '0', '-1', '1.5'])('%s: 400', async (id) => {
        const answer = await remove(id);
        expect(error(answer)).toEqual([400, 'invalid_uri_params']);
        expect((issues(answer) as unknown[][])[0]![1]).toEqual(['environmentId']);
    });

    test('unknown: 404; prod: 400', async () => {
        expect(error(await remove(999_999))).toEqual([404, 'not_found']);
        const prod = (await valetkey.call<{ data: { id: number } }>('GET', '/environment', { key: valetkey.prodKey })).body.data.id;
        expect(error(await remove(prod))).toEqual([400, 'cannot_delete_prod_environment']);
        expect((await valetkey.call('GET', '/environment', { key: valetkey.prodKey })).status).toBe(200);
    });

    test('answers 204 without a body, once; the name is free again, and the keys open nothing', async () => {
        const id = await create('brief');
        const key = await keyOf(id);
        const answers = await Promise.all([remove(id), remove(id)]);
        expect(answers.map(({ status }) => status).toSorted()).toEqual([204, 404]);
        expect(answers.find(({ status }) => status === 204)!.text).toBe('');
        for (const path of ['/connections', '/providers', '/connections/c?provider_config_key=k', '/environment/api-keys']) {
            expect(error(await valetkey.call('GET', path, { key }))).toEqual([403, 'forbidden']);
        }
        const again = await create('brief');
        expect(again).not.toBe(id);
        expect(error(await valetkey.call('GET', '/environment', { key }))).toEqual([403, 'forbidden']);
        expect((await valetkey.call('GET', '/environment', { key: await keyOf(again) })).body).toMatchObject({ data: { id: again } });
    });

    test('takes everything along: integrations, connections, renewals, sessions, flows, webhooks, and every sealed value', async () => {
        const id = await create('full');
        const environment = await rowId(id);
        const key = await keyOf(id);
        const ok = async (method: string, path: string, body: unknown): Promise<void> => {
            const answer = await valetkey.call(method, path, { key, body });
            expect(answer.status, answer.text).toBe(200);
        };
        await valetkey.query(`update environment_settings set sealed_hmac_key = 'v1.k.i.c.t' where environment_id = $1`, [environment]);
        await ok('PATCH', '/environment/webhooks', { primary_url: 'https://hooks.example.com/' });
        await ok('POST', '/integrations', { provider: 'keys', unique_key: 'keys' });
        const credentials = { type: 'OAUTH2', client_id: 'id', client_secret: 'the-client-secret', webhook_secret: 'the-webhook-secret' };
        await ok('POST', '/integrations', { provider: 'oauth', unique_key: 'oauth', credentials });
        const token = await createSession(
            valetkey,
            { tags: {}, integrations_config_defaults: { keys: { connection_config: { region: 'preset' } } } },
            key,
        );
        await connectKey(valetkey, 'keys', token, 'the-account-key', '&params[password]=the-password');
        await valetkey.query(
            `update connections set next_refresh_at = now() + interval '1 hour', refresh_lease_owner = 'w', refresh_lease_until = now() + interval '1 hour' where environment_id = $1`,
            [environment],
        );
        await valetkey.query(
            `insert into credential_journal (id, environment_id, connection_row_id, refresh_epoch, base_version, requested_at, received_at, sealed_response)
             select gen_random_uuid(), environment_id, id, 1, 1, now(), now(), 'v1.k.i.c.t' from connections where environment_id = $1`,
            [environment],
        );
        const popup = await valetkey.call('GET', `/oauth/connect/oauth?connect_session_token=${token}`, { key: null });
        expect(popup.status).toBe(302);
        const state = new URL(popup.headers['location']!).searchParams.get('state')!;
        const prepared = await valetkey.call<{ data: { url: string } }>('POST', '/oauth/flows', {
            key: token,
            body: { provider_config_key: 'oauth' },
        });

        expect((await remove(id)).status).toBe(204);

        expect(
            await valetkey.query(
                `select deleted_at is not null as deleted, sealed_credentials, next_refresh_at, refresh_lease_owner, refresh_epoch
                 from connections where environment_id = $1`,
                [environment],
            ),
        ).toEqual([{ deleted: true, sealed_credentials: '', next_refresh_at: null, refresh_lease_owner: null, refresh_epoch: 1 }]);
        expect(await valetkey.query('select 1 from integrations where environment_id = $1 and deleted_at is null', [environment])).toEqual([]);
        expect(await valetkey.query(`select state, last_error from webhook_deliveries where environment_id = $1`, [environment])).toEqual([
            { state: 'dead', last_error: 'environment_deleted' },
        ]);
        for (const { table, column } of sealedColumns) {
            const left = await valetkey.query(`select 1 from ${table} where environment_id = $1 and ${column} like 'v1.%'`, [environment]);
            expect([table, column, left.length]).toEqual([table, column, 0]);
        }
        for (const path of ['/connect/session', '/providers']) {
            expect(error(await valetkey.call('GET', path, { key: token }))).toEqual([401, 'unknown_account']);
        }
        const direct = await valetkey.call('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, { key: null, body: { apiKey: 'k' } });
        expect(error(direct)).toEqual([401, 'unknown_account']);
        const cookie = popup.headers['set-cookie'];
        const callback = await valetkey.call('GET', `/oauth/callback?state=${state}&code=c`, {
            key: null,
            headers: { cookie: String(cookie).split(';')[0]! },
        });
        expect(callback.text).toContain('no longer exists');
        expect((await valetkey.call('GET', prepared.body.data.url.replace(valetkey.url, ''), { key: null })).status).not.toBe(302);
        // the neighbours keep theirs
        expect((await valetkey.call('GET', '/environment/webhook-signing-key', { key: valetkey.prodKey })).status).toBe(200);
    });

    test('leaves no connection behind that was being made meanwhile', async () => {
        const id = await create('busy');
        const environment = await rowId(id);
        const key = await keyOf(id);
        await valetkey.call('POST', '/integrations', { key, body: { provider: 'slow', unique_key: 'slow' } });
        const token = await createSession(valetkey, { end_user: { id: 'u' } }, key);
        // the provider is asked whether the key is good, and takes until the environment is gone
        const asked = new Promise<void>((resolve) => {
            onProviderCall = async () => {
                expect((await remove(id)).status).toBe(204);
                resolve();
            };
        });
        const path = `/api-auth/api-key/slow?connect_session_token=${token}`;
        const answer = await valetkey.call('POST', path, { key: null, body: { apiKey: 'the-late-key' } });
        await asked;
        expect(error(answer)).toEqual([400, 'account_or_environment_retrieval_err']);
        expect(await valetkey.query('select 1 from connections where environment_id = $1', [environment])).toEqual([]);
    });

    test('is not for environment keys, nor for account keys without the scope', async () => {
        const id = await create('kept');
        const creator = await valetkey.insertKey({ scopes: ['account:environments:create', 'account:environments:list'], environment: null });
        for (const key of [valetkey.key, creator]) {
            expect(error(await remove(id, key))).toEqual([403, 'forbidden']);
        }
        expect(await names()).toContain('kept');
    });
});
