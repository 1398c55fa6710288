/** Seeded canaries: no secret in a clear column, a log line, a webhook, an error or a page; a moved seal does not open (E1–E5). */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sealedColumns } from '../../src/store/sealed-columns.ts';
import { freePort } from '../peers/free-port.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { createDatabase } from '../peers/postgres.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { finishPopup, openPopup, type Popup } from './popup.ts';
import { apiKeyEntry, basicEntry, oauth2Entry, providersFile } from './provider-entries.ts';
import { eventually, newEncryptionKey, newTestApiKey, startValetkey, type Valetkey } from './valetkey.ts';

/** What must be seen nowhere; grows as secrets are issued. */
const canaries = new Map<string, string>();
const canary = (name: string, value = `canary-${name}-${randomBytes(9).toString('hex')}`): string => {
    canaries.set(name, value);
    return value;
};

/** A key that is put elsewhere than into `authorization`. */
const placedKeyEntry = (name: string, baseUrl: string, proxy: object = {}): Record<string, unknown> => {
    const [entry] = Object.values(apiKeyEntry(name, baseUrl)) as [Record<string, unknown>];
    return { [name]: { ...entry, proxy: { base_url: baseUrl, verification: { method: 'GET', endpoints: ['/me'] }, ...proxy } } };
};

let provider: HttpServer;
/** The provider refuses, and repeats everything it was sent. */
let isRefusing = false;
let refusals = 0;
const echoedIn = ['x-request-id', 'server', 'location', 'via', 'www-authenticate', 'x-ratelimit-remaining', 'set-cookie', 'x-token', 'etag'];
let issued = 0;
let receiver: WebhookReceiver;
let database: Awaited<ReturnType<typeof createDatabase>>;
let sql: pg.Client;
let valetkey: Valetkey;
/** Answers that may not hold a secret: errors and pages. */
const answers: string[] = [];
const ids: Record<string, string> = {};

beforeAll(async () => {
    provider = await listen((request, response) => {
        void readBody(request).then((body) => {
            const sent = Object.fromEntries(new URLSearchParams(body.toString()));
            if (sent['code_verifier'] !== undefined) {
                canary(`verifier ${canaries.size}`, sent['code_verifier']);
            }
            // Where the operation log looks for what it shows of an answer.
            const echo = (texts: readonly string[]): void =>
                echoedIn.forEach((name, index) => response.setHeader(name, `${texts[index % texts.length]}`.replaceAll(/[^ -~]/g, '')));
            if (isRefusing) {
                const secrets = ['client_secret', 'code', 'code_verifier', 'refresh_token'].flatMap((name) => sent[name] ?? []);
                // as they are, as they were sent, and in the header
                const shapes = [
                    ...secrets,
                    ...secrets.map(encodeURIComponent),
                    new URLSearchParams({ '': secrets[0] ?? '' }),
                    request.headers.authorization,
                ];
                const error = {
                    error: 'invalid_request',
                    error_description: shapes.slice(refusals % shapes.length).join(' '),
                    echo: body.toString(),
                };
                refusals += 1;
                const placed = request.url === '/me' ? request.headers['x-key'] : request.url;
                echo([...secrets, request.headers.authorization, placed].flatMap((text) => text ?? []));
                response.writeHead(request.url?.includes('/me') ? 401 : 400, { 'content-type': 'application/json' }).end(JSON.stringify(error));
                return;
            }
            issued += 1;
            const tokens = {
                access_token: canary(`access token ${issued}`),
                refresh_token: canary(`refresh token ${issued}`),
                id_token: canary(`id token ${issued}`),
                expires_in: 3600,
            };
            echo([tokens.refresh_token, tokens.access_token, `/next/${tokens.id_token}?access_token=${tokens.access_token}`, request.url ?? '']);
            response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokens));
        });
    });
    receiver = await startWebhookReceiver();
    database = await createDatabase();
    sql = new pg.Client({ connectionString: database.url });
    await sql.connect();
    const base = `http://127.0.0.1:${provider.port}`;
    const endpoints = { authorizationEndpoint: `${base}/authorize`, tokenEndpoint: `${base}/token` };
    valetkey = await startValetkey({
        port: await freePort(),
        databaseUrl: database.url,
        encryptionKey: canary('encryption key', newEncryptionKey()),
        apiKey: canary('API key of Valetkey', newTestApiKey()),
        providers: providersFile(
            oauth2Entry('oauth', endpoints),
            oauth2Entry('header', endpoints, { token_request_auth_method: 'basic' }),
            apiKeyEntry('keys', base),
            placedKeyEntry('path', `${base}/bot\${apiKey}`),
            placedKeyEntry('query', base, { query: { token: '${apiKey}' } }),
            placedKeyEntry('named', base, { headers: { 'x-key': '${apiKey}' } }),
            basicEntry('basic', base),
        ),
        env: { LOG_LEVEL: 'trace' },
    });
});

afterAll(async () => {
    await valetkey?.stop();
    await sql?.end();
    await Promise.all([provider?.close(), receiver?.close()]);
    await database?.drop();
});

const call = async (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
): Promise<{ status: number; body: Record<string, unknown> }> => {
    const answer = await valetkey.call(method, path, body, headers);
    if (answer.status >= 400) {
        answers.push(JSON.stringify(answer.body));
    }
    return answer;
};
const newSession = async (body: object): Promise<string> => {
    const { data } = (await call('POST', '/connect/sessions', body)).body as { data: { token: string } };
    return canary(`session token ${canaries.size}`, data.token);
};
const openOauth = async (token: string, query = '', integration = 'oauth'): Promise<Popup> => {
    const popup = await openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${token}${query}`);
    if (popup.first.status !== 302) {
        answers.push(popup.firstText);
        return popup;
    }
    canary(`state ${canaries.size}`, new URL(popup.authorizationUrl).searchParams.get('state')!);
    canary(`binding cookie ${canaries.size}`, popup.cookie.split('=')[1]!);
    return popup;
};
/** Comes back with a code of our choice. @returns the connection's id. */
const finish = async (popup: Popup, query = ''): Promise<string> => {
    const state = new URL(popup.authorizationUrl).searchParams.get('state');
    const { page, outcome } = await finishPopup(
        popup,
        `${valetkey.url}/oauth/callback?state=${state}&code=${canary(`code ${canaries.size}`)}${query}`,
    );
    popup.socket.close();
    answers.push(page.html, JSON.stringify(popup.socket.frames));
    return outcome.connection_id ?? '';
};
const connectDirectly = async (kind: string, integration: string, token: string, body: object, query = ''): Promise<string> => {
    const answer = await call('POST', `/api-auth/${kind}/${integration}?connect_session_token=${token}${query}`, body);
    return (answer.body as { connectionId?: string }).connectionId ?? '';
};
const read = (name: string, query = ''): Promise<{ status: number; body: Record<string, unknown> }> =>
    call('GET', `/connections/${ids[name]}?provider_config_key=${name.split(' ')[0]}&refresh_token=true${query}`);

/** A secret, and the shapes in which it could hide. */
const shapes = (secret: string): string[] => [
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ '': secret }).toString().slice(1),
    JSON.stringify(secret).slice(1, -1),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    Buffer.from(secret).toString('hex'),
];

/** @returns the names of the secrets that `text` holds. */
const leaksIn = (text: string): string[] =>
    [...canaries].flatMap(([name, secret]) => (shapes(secret).some((shape) => text.includes(shape)) ? [name] : []));

describe('a day in the life of a deployment', () => {
    test('everything works: connect in every way, read, renew, reconnect', async () => {
        const credentials = {
            type: 'OAUTH2' as const,
            client_id: 'the-client',
            client_secret: canary('client secret', `canary secret/${randomBytes(9).toString('hex')}&=+`),
            webhook_secret: canary('webhook secret of the provider'),
        };
        await valetkey.client.createIntegration({ provider: 'oauth', unique_key: 'oauth', credentials });
        await valetkey.client.createIntegration({
            provider: 'oauth',
            unique_key: 'oauth-2',
            credentials: { ...credentials, client_secret: canary('second client secret') },
        });
        await valetkey.client.createIntegration({ provider: 'header', unique_key: 'header', credentials });
        await valetkey.client.createIntegration({ provider: 'keys', unique_key: 'keys' });
        await valetkey.client.createIntegration({ provider: 'basic', unique_key: 'basic' });
        for (const name of ['path', 'query', 'named']) await valetkey.client.createIntegration({ provider: name, unique_key: name });
        await call('PATCH', '/environment/webhooks', { primary_url: receiver.url });
        const signing = (await call('GET', '/environment/webhook-signing-key')).body as { data: { webhook_signing_key: string } };
        canary('webhook signing key', signing.data.webhook_signing_key);
        const rotated = (await call('POST', '/environment/webhook-signing-key/rotate')).body as { data: { webhook_signing_key: string } };
        canary('second webhook signing key', rotated.data.webhook_signing_key);
        await call('PUT', '/environment-variables', [{ name: 'A', value: canary('environment variable') }]);
        const settings = { hmac_key: canary('HMAC key'), otlp_headers: [{ name: 'authorization', value: canary('OTLP header') }] };
        const set = await call('PATCH', '/environment', settings);
        const declared = await call('PUT', '/environment/config', {
            version: 1,
            environment: { hmac_key: { secret: 'hmac' } },
            integrations: { declared: { provider: 'oauth', client_id: 'the-client', client_secret: { secret: 'client' } } },
            secrets: { hmac: canary('second HMAC key'), client: canary('declared client secret') },
        });
        const keys = await call('POST', '/environment/webhook-signing-key/promote');
        // What is shown of these is never the secret.
        for (const { status, body } of [set, declared, keys, await call('GET', '/environment'), await call('GET', '/environment/config')]) {
            expect(status).toBe(200);
            answers.push(JSON.stringify(body));
        }

        const token = await newSession({
            end_user: { id: 'u1' },
            integrations_config_defaults: {
                oauth: { connection_config: { client_password: canary('preset password') }, authorization_params: { login_hint: 'ann' } },
            },
        });
        ids['oauth'] = await finish(await openOauth(token));
        const own = `&credentials[oauth_client_id_override]=own&credentials[oauth_client_secret_override]=${canary('client secret override')}&credentials[oauth_refresh_token_override]=${canary('refresh token override')}`;
        ids['oauth own'] = await finish(await openOauth(token, own));
        ids['keys'] = await connectDirectly(
            'api-key',
            'keys',
            token,
            { apiKey: canary('account API key') },
            `&params[password]=${canary('config password')}&params[api_token]=${canary('config token')}`,
        );
        ids['basic'] = await connectDirectly('basic', 'basic', token, { username: 'ann', password: canary('account password') });
        for (const name of ['path', 'query', 'named']) {
            ids[name] = await connectDirectly('api-key', name, token, { apiKey: canary(`key in the ${name}`) });
        }
        for (const name of Object.keys(ids)) {
            expect([name, (await read(name)).status]).toEqual([name, 200]);
        }
        expect((await read('oauth', '&force_refresh=true')).status).toBe(200);
        // the flow that is under way, and the one that was prepared, have secrets of their own
        await openOauth(token);
        const prepared = {
            provider_config_key: 'oauth',
            credentials: { oauth_client_id_override: 'own', oauth_client_secret_override: canary('prepared secret') },
        };
        const flow = (await call('POST', '/oauth/flows', prepared, { authorization: `Bearer ${token}` })).body as { data: { url: string } };
        canary('flow token', flow.data.url.split('flow=')[1]!);
        const reconnect = (await call('POST', '/connect/sessions/reconnect', { connection_id: ids['keys'], integration_id: 'keys' })).body as {
            data: { token: string };
        };
        await connectDirectly('api-key', 'keys', canary('reconnect token', reconnect.data.token), { apiKey: canary('second account API key') });
    });

    test('everything fails: the provider refuses and repeats what it was sent, requests are wrong, the database refuses a row', async () => {
        isRefusing = true;
        const token = await newSession({ tags: {} });
        for (let attempt = 0; attempt < 8; attempt += 1) {
            await finish(await openOauth(token));
            await finish(await openOauth(token, '', 'header'));
        }
        await finish(await openOauth(token), `&error=denied&error_description=${encodeURIComponent('because')}`);
        expect(await connectDirectly('api-key', 'keys', token, { apiKey: canary('refused API key') })).toBe('');
        expect(await connectDirectly('basic', 'basic', token, { username: 'ann', password: canary('refused password') })).toBe('');
        for (const name of ['path', 'query', 'named']) {
            expect(await connectDirectly('api-key', name, token, { apiKey: canary(`refused key in the ${name}`) })).toBe('');
        }
        for (let attempt = 0; attempt < 4; attempt += 1) {
            expect((await read('oauth', '&force_refresh=true')).status).toBe(400);
        }
        isRefusing = false;

        // wrong requests that hold secrets
        const secret = canary('secret in a wrong request');
        await call('POST', '/integrations', {
            provider: 'oauth',
            unique_key: 'x',
            credentials: { type: 'OAUTH2', client_id: 1, client_secret: secret, extra: secret },
        });
        await call('POST', '/integrations', { provider: 'oauth', unique_key: 'x', credentials: { type: secret } });
        await call('PUT', '/environment-variables', [{ name: 'A', value: secret, more: secret }]);
        await call('PATCH', '/environment', { hmac_key: secret.repeat(40), otlp_headers: [{ name: '', value: secret }] });
        await call('PUT', '/environment/config', { version: 1, environment: { hmac_key: secret }, secrets: { hmac: secret } });
        await call('POST', `/api-auth/api-key/keys?connect_session_token=${token}`, { apiKey: secret.repeat(40) });
        await call('POST', `/api-auth/basic/basic?connect_session_token=${token}`, { username: `${secret}\n`, password: secret });
        await call('POST', '/connect/sessions', {
            end_user: { id: 'u' },
            integrations_config_defaults: { oauth: { connection_config: secret, authorization_params: { a: [secret] } } },
        });
        await call('GET', '/connections', undefined, { authorization: `Bearer ${secret}` });
        await call('GET', '/connect/session', undefined, { authorization: `Bearer nango_connect_session_${secret}` });
        answers.push(
            (await openOauth(token, `&authorization_params[state]=${secret}`)).firstText,
            (await openOauth(token, `&params[jwtToken]=${secret}`)).firstText,
        );
        for (const body of [`{"apiKey":"${secret}"`, `"${secret}"`]) {
            const response = await fetch(`${valetkey.url}/api-auth/api-key/keys?connect_session_token=${token}`, {
                method: 'POST',
                headers: { 'content-type': 'application/json' },
                body,
            });
            answers.push(await response.text());
        }
        answers.push(await (await fetch(`${valetkey.url}/oauth/callback?state=${secret}&code=${secret}`)).text());

        await sql.query(`alter table connections add constraint refused check (tags = '{"never": "true"}') not valid`);
        expect(await connectDirectly('api-key', 'keys', token, { apiKey: canary('API key in a refused row') })).toBe('');
        await finish(await openOauth(token));
        await sql.query('alter table connections drop constraint refused');
        expect(answers.filter((answer) => answer.includes('generic_error_support'))).toHaveLength(1);

        receiver.answer(500);
        ids['oauth last'] = await finish(await openOauth(token));
        await eventually(() => expect(receiver.deliveries.some(({ status }) => status === 500)).toBe(true));
    });

    test('the canaries are worth something: they are where they belong', async () => {
        expect(canaries.size).toBeGreaterThan(40);
        const opened = JSON.stringify((await read('oauth own')).body);
        expect(leaksIn(opened)).toEqual(expect.arrayContaining(['client secret override', 'refresh token override']));
        expect(leaksIn(JSON.stringify((await read('keys')).body))).toEqual(
            expect.arrayContaining(['second account API key', 'config password', 'config token']),
        );
    });

    test('the operation log tells of the calls that carried them, and of the answers that repeated them', async () => {
        const { rows } = await sql.query<{ url: string; code: number; server: string; authorization: string | null }>(
            `select request ->> 'url' as url, (response ->> 'code')::int as code, response #>> '{headers,server}' as server,
                 request #>> '{headers,authorization}' as authorization from operation_messages where type = 'http'`,
        );
        const base = `http://127.0.0.1:${provider.port}`;
        const told = new Set(rows.map(({ url, code, server }) => `${url.replace(base, '')} ${code} ${server}`));
        expect(told).toEqual(
            new Set(
                ['/token', '/me', '/REDACTED/me', '/me?token=REDACTED'].flatMap((place) => [
                    `${place} 200 REDACTED`,
                    `${place} ${place === '/token' ? 400 : 401} REDACTED`,
                ]),
            ),
        );
        expect(new Set(rows.map(({ authorization }) => authorization))).toEqual(new Set([null, 'REDACTED']));
    });

    test('no row of any table holds one in the clear', async () => {
        const { rows: columns } = await sql.query<{ table_name: string; column_name: string }>(
            `select table_name, column_name from information_schema.columns where table_schema = 'public'
             and data_type in ('text', 'json', 'jsonb', 'character varying', 'character', 'ARRAY', 'uuid', 'bytea')`,
        );
        expect(columns.length).toBeGreaterThan(60);
        for (const { table_name, column_name } of columns) {
            const { rows } = await sql.query<{ value: string | null }>(`select "${column_name}"::text as value from "${table_name}"`);
            const values = rows.flatMap(({ value }) => value ?? []);
            expect([table_name, column_name, leaksIn(values.join('\n'))]).toEqual([table_name, column_name, []]);
            if (column_name.startsWith('sealed_')) {
                // five parts in base64url, or nothing at all once it was shredded
                expect([table_name, column_name, values.filter((value) => !/^(v1(\.[\w-]+){4})?$/.test(value))]).toEqual([
                    table_name,
                    column_name,
                    [],
                ]);
            }
            if (column_name.endsWith('_hash') && column_name !== 'browser_hash' && column_name !== 'state_hash') {
                expect([table_name, column_name, values.filter((value) => !/^[0-9a-f]{12}\.[\w-]{43}$/.test(value))]).toEqual([
                    table_name,
                    column_name,
                    [],
                ]);
            }
        }
        const { rows: filled } = await sql.query<{ count: string }>(
            `select count(*)::int as count from connections where sealed_credentials like 'v1.%'`,
        );
        expect(Number(filled[0]!.count)).toBeGreaterThanOrEqual(5);
    });

    test('no webhook, no error and no page does', () => {
        expect(answers.length).toBeGreaterThan(20);
        for (const answer of answers) {
            expect([leaksIn(answer), answer.slice(0, 2000)]).toEqual([[], answer.slice(0, 2000)]);
        }
        expect(receiver.deliveries.length).toBeGreaterThanOrEqual(7);
        for (const { body, headers, path } of receiver.deliveries) {
            expect(leaksIn(body.toString() + JSON.stringify(headers) + path)).toEqual([]);
        }
    });

    test('no log line does, although everything was logged that can be', () => {
        const output = valetkey.output();
        expect(output).toContain('"level":20');
        expect(output.split('\n').length).toBeGreaterThan(40);
        expect(leaksIn(output)).toEqual([]);
    });
});

describe('a seal belongs to its place', () => {
    /** Swaps a column between two rows. */
    const swap = async (table: string, column: string, by: string, a: string, b: string): Promise<void> => {
        await sql.query(
            `update ${table} t set ${column} = o.${column} from ${table} o
             where (t.${by} = $1 and o.${by} = $2) or (t.${by} = $2 and o.${by} = $1)`,
            [a, b],
        );
    };
    const unreadable = {
        status: 500,
        body: { error: { code: 'invalid_credentials', payload: { type: 'credentials_unreadable', connection: { credentials: {} } } } },
    };

    test('credentials swapped between two connections open in neither; their neighbours do', async () => {
        await swap('connections', 'sealed_credentials', 'connection_id', ids['keys']!, ids['basic']!);
        for (const name of ['keys', 'basic']) {
            expect(await read(name)).toMatchObject(unreadable);
            expect(await read(name, '&force_refresh=true')).toMatchObject(unreadable);
        }
        for (const name of ['oauth', 'oauth own', 'oauth last']) {
            expect([name, (await read(name)).status]).toEqual([name, 200]);
        }
        await swap('connections', 'sealed_credentials', 'connection_id', ids['keys']!, ids['basic']!);
        expect((await read('keys')).status).toBe(200);
    });

    test('so do secrets of the configuration, and client secrets of integrations', async () => {
        await sql.query(
            `update connections set sealed_secrets = (select sealed_secrets from connections where connection_id = $1) where connection_id = $2`,
            [ids['oauth'], ids['keys']],
        );
        expect(await read('keys')).toMatchObject(unreadable);
        await swap('integrations', 'sealed_oauth_client_secret', 'unique_key', 'oauth', 'oauth-2');
        expect(await read('oauth last', '&force_refresh=true')).toMatchObject(unreadable);
        // the token itself is fine, and is handed out
        expect((await read('oauth last')).status).toBe(200);
        const token = await newSession({ tags: {} });
        const popup = await openPopup(valetkey.url, `/oauth/connect/oauth?connect_session_token=${token}`);
        expect([popup.first.status, (await popup.socket.outcome()).error_type]).toEqual([400, 'unknown_err']);
        popup.socket.close();
        await swap('integrations', 'sealed_oauth_client_secret', 'unique_key', 'oauth', 'oauth-2');
    });

    test('what cannot be opened does not hold up the work queue', async () => {
        await swap('connections', 'sealed_credentials', 'connection_id', ids['oauth']!, ids['oauth own']!);
        await sql.query(`update connections set auth_state = 'ok', auth_error = null, refresh_attempts = 0`);
        // the two first in the queue
        await sql.query(`update connections set next_refresh_at = now() - interval '2 minutes' where connection_id in ($1, $2)`, [
            ids['oauth'],
            ids['oauth own'],
        ]);
        await sql.query(`update connections set next_refresh_at = now() - interval '1 minute' where connection_id = $1`, [ids['oauth last']]);
        const versions = async (): Promise<Record<string, unknown>> => {
            const { rows } = await sql.query<{ connection_id: string; auth_state: string; due: boolean; type: string | null }>(
                `select connection_id, auth_state, next_refresh_at <= now() as due, auth_error ->> 'type' as type from connections`,
            );
            return Object.fromEntries(rows.map(({ connection_id, ...row }) => [Object.keys(ids).find((name) => ids[name] === connection_id), row]));
        };
        await eventually(async () => {
            const unopened = { auth_state: 'degraded', due: false, type: 'credentials_unreadable' };
            expect(await versions()).toMatchObject({
                oauth: unopened,
                'oauth own': unopened,
                'oauth last': { auth_state: 'ok', due: false, type: null },
            });
        });
        expect(await read('oauth')).toMatchObject(unreadable);
        expect(await read('oauth last')).toMatchObject({ status: 200, body: { errors: [] } });
        expect(leaksIn(valetkey.output())).toEqual([]);
    });
});

test('the list of sealed columns is the database’s', async () => {
    const { rows } = await sql.query<{ name: string }>(
        `select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'public' and column_name like 'sealed\\_%'`,
    );
    expect(sealedColumns.map(({ table, column }) => `${table}.${column}`).toSorted()).toEqual(rows.map((row) => row.name).toSorted());
});
