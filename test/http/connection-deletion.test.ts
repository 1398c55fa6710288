/** DELETE /connections/:connectionId and what it tells the provider afterwards (http-api §8.6; E7, RFC 7009). */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { basicPair } from '../../src/auth-modes/token-endpoint.ts';
import { sealConfig } from '../../src/credentials/connection-secrets.ts';
import { credentialsPlace } from '../../src/credentials/credential-places.ts';
import type { OAuth2Credentials } from '../../src/credentials/credential.ts';
import { json } from '../../src/store/database.ts';
import * as integrations from '../../src/store/integrations.ts';
import { oauth2Entry, providersFile } from '../e2e/provider-entries.ts';
import { eventually } from '../e2e/valetkey.ts';
import { startRevocationServer, succeed, type RevocationServer } from '../peers/revocation-server.ts';
import { insertConnection, newId } from '../store/rows.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type TestApp, type TestAppOptions } from './app.ts';

const app = { type: 'OAUTH2', client_id: 'the client', client_secret: 'the+client/secret' };
let server: RevocationServer;
let valetkey: TestApp;

beforeAll(async () => {
    server = await startRevocationServer();
    valetkey = await start();
});
afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});
beforeEach(() => {
    server.requests.length = 0;
    server.respond(succeed);
});

async function start(options: TestAppOptions = {}): Promise<TestApp> {
    const endpoints = { authorizationEndpoint: `${server.url}/authorize`, tokenEndpoint: `${server.url}/token` };
    const tenant = { type: 'string', title: 'Tenant', description: 'Of your account.', example: 'acme' };
    const entries: Record<string, Record<string, unknown>> = {
        plain: { revocation_url: `${server.url}/revoke` },
        'basic-tokens': { token_request_auth_method: 'basic', revocation_url: `${server.url}/revoke` },
        bare: { revocation_url: `${server.url}/revoke`, revocation_auth_method: 'none' },
        'basic-json': { revocation_url: `${server.url}/revoke`, revocation_auth_method: 'basic', revocation_body_format: 'json' },
        named: { revocation_url: `${server.url}/revoke`, revocation_auth_method: 'body', revocation_token_param: 'token_type' },
        tenant: { revocation_url: `${server.url}/\${connectionConfig.tenant}/revoke?x=1`, connection_config: { tenant } },
        anywhere: { revocation_url: 'https://${connectionConfig.tenant}/revoke', connection_config: { tenant } },
        mail: { revocation_url: `${server.url}/revoke`, revocation_ends_all: true },
        calendar: { revocation_url: `${server.url}/revoke`, revocation_ends_all: true },
        silent: {},
    };
    const made = await startTestApp({
        providers: providersFile(...Object.entries(entries).map(([name, extra]) => oauth2Entry(name, endpoints, extra)), untestedKeyEntry('keys')),
        ...options,
    });
    for (const name of Object.keys(entries)) {
        await createIntegration(made, name, name, { credentials: app });
    }
    await createIntegration(made, 'keys', 'keys');
    return made;
}

interface Connected {
    id: string;
    integration: string;
    token: string;
}

/** A connection as a redirect flow would have left it. */
async function connect(
    integration: string,
    change: {
        credentials?: Partial<OAuth2Credentials>;
        config?: Record<string, unknown>;
        metadata?: Record<string, unknown>;
        user?: string;
        tags?: Record<string, string>;
        sealed?: string;
        to?: TestApp;
        environment?: string;
    } = {},
): Promise<Connected> {
    const { app: to, vault, query } = change.to ?? valetkey;
    const [environment] = await query<{ id: string }>('select id from environments where name = $1', [change.environment ?? 'dev']);
    const found = (await integrations.findByKey(to.database.db, environment!.id, integration))!;
    const row = { id: newId(), environment_id: environment!.id };
    const token = `refresh-${randomBytes(8).toString('hex')}`;
    const credentials: OAuth2Credentials = {
        type: 'OAUTH2',
        access_token: `access-of-${token}`,
        refresh_token: token,
        raw: {},
        ...change.credentials,
    };
    const config = sealConfig(vault, row, change.config ?? {}, () => false);
    const connection = await insertConnection(to.database.db, found, {
        ...row,
        sealed_credentials: change.sealed ?? vault.sealJson(credentials, credentialsPlace(row)),
        connection_config: json(config.clear),
        sealed_secrets: config.sealed,
        ...(change.metadata === undefined ? {} : { metadata: json(change.metadata) }),
        ...(change.user === undefined
            ? {}
            : { end_user: json({ id: change.user, email: null, display_name: null, tags: null, organization: null }) }),
        ...(change.tags === undefined ? {} : { tags: json(change.tags) }),
    });
    return { id: connection.connection_id, integration, token };
}

const remove = ({ id, integration }: Connected, query = '', from = valetkey, key?: string) =>
    from.call('DELETE', `/connections/${id}?provider_config_key=${integration}${query}`, key === undefined ? {} : { key });

const recorded = ({ id }: Connected): Promise<Record<string, unknown>[]> =>
    valetkey.query(
        `select type, action, state, level, meta, ended_at is not null as ended from operations where connection_id = $1 and action = 'delete'`,
        [id],
    );

/** What the operation says once it is over. */
async function outcome(connected: Connected): Promise<unknown> {
    let revocation: Record<string, unknown> = {};
    await eventually(async () => {
        const [operation] = await recorded(connected);
        expect(operation).toMatchObject({ type: 'connection', action: 'delete', state: 'success', ended: true });
        revocation = (operation!['meta'] as { revocation: Record<string, unknown> }).revocation;
        expect(revocation['outcome']).not.toBe('pending');
    });
    return revocation;
}

const sent = () => server.requests.map(({ path, headers, body }) => [path, headers['content-type'], headers.authorization, body]);
const form = 'application/x-www-form-urlencoded';
const inBody = 'client_id=the+client&client_secret=the%2Bclient%2Fsecret';

describe('the answer', () => {
    test('does not wait for the provider, whose outcome is recorded later', async () => {
        const held = Promise.withResolvers<void>();
        server.respond(async (response) => {
            await held.promise;
            succeed(response);
        });
        const connected = await connect('plain');
        const answer = await remove(connected);
        expect([answer.status, answer.body]).toEqual([200, { success: true }]);
        await eventually(() => expect(server.requests).toHaveLength(1));
        expect(await recorded(connected)).toMatchObject([
            { state: 'success', level: 'info', ended: true, meta: { revocation: { outcome: 'pending' } } },
        ]);
        // by then nothing is left that could be opened
        const [row] = await valetkey.query('select sealed_credentials, deleted_at is not null as deleted from connections where connection_id = $1', [
            connected.id,
        ]);
        expect(row).toEqual({ sealed_credentials: '', deleted: true });
        held.resolve();
        expect(await outcome(connected)).toEqual({ outcome: 'revoked', token: 'refresh_token', status: 200 });
    });

    test('a second deletion, and one in a foreign environment, is refused and revokes nothing', async () => {
        const connected = await connect('plain');
        expect((await remove(connected, '', valetkey, valetkey.prodKey)).status).toBe(400);
        expect((await remove(connected)).status).toBe(200);
        await outcome(connected);
        expect((await remove(connected)).status).toBe(400);
        expect([server.requests.length, (await recorded(connected)).length]).toEqual([1, 1]);
    });

    test('two deletions at once: one deletes, and the grant is revoked once', async () => {
        const connected = await connect('plain');
        const answers = await Promise.all([remove(connected), remove(connected)]);
        expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 400]);
        await outcome(connected);
        expect([server.requests.length, (await recorded(connected)).length]).toEqual([1, 1]);
    });
});

describe('the request', () => {
    test.each<[string, unknown, (token: string) => string]>([
        ['plain', undefined, (token) => `token=${token}&${inBody}`],
        ['basic-tokens', `Basic ${basicPair(app.client_id, app.client_secret)}`, (token) => `token=${token}`],
        ['bare', undefined, (token) => `token=${token}`],
        ['named', undefined, (token) => `refresh_token=${token}&${inBody}`],
    ])('of "%s" has the refresh token, and the client as the entry has it', async (integration, authorization, body) => {
        const connected = await connect(integration);
        await remove(connected);
        expect(await outcome(connected)).toEqual({ outcome: 'revoked', token: 'refresh_token', status: 200 });
        expect(sent()).toEqual([['POST /revoke', form, authorization, body(connected.token)]]);
    });

    test('may be JSON', async () => {
        const connected = await connect('basic-json');
        await remove(connected);
        await outcome(connected);
        const basic = `Basic ${basicPair(app.client_id, app.client_secret)}`;
        expect(sent()).toEqual([['POST /revoke', 'application/json', basic, json({ token: connected.token })]]);
    });

    test.each([
        ['bare', 'token=the-access-token'],
        ['named', `access_token=the-access-token&${inBody}`],
    ])('of "%s" has the access token where there is no refresh token', async (integration, body) => {
        const connected = await connect(integration);
        const { id, environment_id } = (
            await valetkey.query<{ id: string; environment_id: string }>('select * from connections where connection_id = $1', [connected.id])
        )[0]!;
        const sealed = valetkey.vault.sealJson(
            { type: 'OAUTH2', access_token: 'the-access-token', raw: {} },
            credentialsPlace({ id, environment_id }),
        );
        await valetkey.query('update connections set sealed_credentials = $1 where id = $2', [sealed, id]);
        await remove(connected);
        expect(await outcome(connected)).toEqual({ outcome: 'revoked', token: 'access_token', status: 200 });
        expect(sent()).toEqual([['POST /revoke', form, undefined, body]]);
    });

    test('comes from the OAuth app that the connection brought along', async () => {
        const connected = await connect('plain', { credentials: { config_override: { client_id: 'own', client_secret: 'own-secret' } } });
        await remove(connected);
        await outcome(connected);
        expect(sent()).toEqual([['POST /revoke', form, undefined, `token=${connected.token}&client_id=own&client_secret=own-secret`]]);
    });

    test("goes where the connection's configuration says, encoded", async () => {
        const connected = await connect('tenant', { config: { tenant: 'a/b' } });
        await remove(connected);
        await outcome(connected);
        expect(sent().map(([path]) => path)).toEqual(['POST /a%2Fb/revoke?x=1']);
    });
});

describe('nothing is revoked', () => {
    const skipped = async (connected: Connected, reason: string, query = ''): Promise<void> => {
        expect((await remove(connected, query)).status).toBe(200);
        expect(await recorded(connected)).toMatchObject([{ state: 'success', level: 'info', meta: { revocation: { outcome: 'skipped', reason } } }]);
    };

    test.each(['false', '0', 'No'])('if the caller says revoke=%s', async (value) => {
        await skipped(await connect('plain'), 'not_asked_for', `&revoke=${value}`);
        expect(server.requests).toEqual([]);
    });

    test('but revoke=true is as if nothing had been said, and anything else is refused', async () => {
        const connected = await connect('plain');
        const refused = await remove(connected, '&revoke=maybe');
        expect([refused.status, refused.body]).toMatchObject([400, { error: { code: 'invalid_query_params', errors: [{ path: ['revoke'] }] } }]);
        expect((await remove(connected, '&revoke=true')).status).toBe(200);
        expect(await outcome(connected)).toMatchObject({ outcome: 'revoked' });
    });

    test('if the metadata says so, with the boolean alone', async () => {
        await skipped(await connect('plain', { metadata: { skipTokenRevocation: true } }), 'skip_token_revocation');
        const said = await connect('plain', { metadata: { skipTokenRevocation: 'true' } });
        await remove(said);
        expect(await outcome(said)).toMatchObject({ outcome: 'revoked' });
        expect(server.requests).toHaveLength(1);
    });

    test('where the catalogue knows no URL, and for credentials that are no grant', async () => {
        await skipped(await connect('silent'), 'not_supported');
        await skipped({ id: await connectKey(valetkey, 'keys', await createSession(valetkey)), integration: 'keys', token: '' }, 'not_supported');
        const typed = await connect('plain');
        await valetkey.query(`update connections set credential_type = 'API_KEY' where connection_id = $1`, [typed.id]);
        await skipped(typed, 'not_supported');
        expect(server.requests).toEqual([]);
    });

    test('if the credentials cannot be opened, or the secret of their client', async () => {
        const broken = await connect('plain', { sealed: 'v1.nokey.AAAA.AAAA.AAAA' });
        expect((await remove(broken)).status).toBe(200);
        expect(await outcome(broken)).toEqual({ outcome: 'skipped', reason: 'credentials_unreadable' });
        await createIntegration(valetkey, 'unreadable', 'plain', { credentials: app });
        await valetkey.query(`update integrations set sealed_oauth_client_secret = 'v1.nokey.AAAA.AAAA.AAAA' where unique_key = 'unreadable'`);
        const clientless = await connect('unreadable');
        expect((await remove(clientless)).status).toBe(200);
        expect(await outcome(clientless)).toEqual({ outcome: 'skipped', reason: 'credentials_unreadable' });
        expect(server.requests).toEqual([]);
    });

    test('at a host that may not receive secrets (N2)', async () => {
        await valetkey.call('POST', '/integrations', {
            body: { provider: 'anywhere', unique_key: 'anywhere', credentials: app },
            key: valetkey.prodKey,
        });
        await valetkey.query(`update environments set is_production = true where name = 'prod'`);
        const connected = await connect('anywhere', { config: { tenant: 'evil.example.com' }, environment: 'prod' });
        expect((await remove(connected, '', valetkey, valetkey.prodKey)).status).toBe(200);
        expect(await outcome(connected)).toEqual({ outcome: 'failed', token: 'refresh_token', code: 'url_param_err' });
        const missing = await connect('tenant');
        await remove(missing);
        expect(await outcome(missing)).toEqual({ outcome: 'failed', token: 'refresh_token', code: 'url_param_err' });
        expect(server.requests).toEqual([]);
    });
});

describe('at a provider where one revocation ends all that the user granted to the app', () => {
    const shared = { outcome: 'skipped', reason: 'possibly_shared_grant' };
    const revoked = { outcome: 'revoked', token: 'refresh_token', status: 200 };

    /** Two integrations of one OAuth app, which no other test uses. */
    async function oneApp(second: { key?: string; environment?: string; provider?: string } = {}) {
        const client = `client-${newId()}`;
        const [mail, other] = [`mail-${client}`, `other-${client}`];
        const credentials = { ...app, client_id: client };
        await createIntegration(valetkey, mail, 'mail', { credentials });
        const { key = valetkey.key, environment = 'dev', provider = 'calendar' } = second;
        const created = await valetkey.call('POST', '/integrations', { body: { provider, unique_key: other, credentials }, key });
        expect(created.status).toBe(200);
        return { client, mail, other: (change: Parameters<typeof connect>[1]) => connect(other, { ...change, environment }) };
    }
    async function deleted(connected: Connected, key?: string): Promise<unknown> {
        expect((await remove(connected, '', valetkey, key)).status).toBe(200);
        return outcome(connected);
    }

    test.each<[string, Parameters<typeof connect>[1], Parameters<typeof connect>[1], unknown]>([
        ['the same end user', { user: 'u1' }, { user: 'u1' }, shared],
        ['the same end user, said by a tag', { user: 'u1' }, { tags: { end_user_id: 'u1' } }, shared],
        ['the same end user, said by tags', { tags: { end_user_id: 'u1' } }, { tags: { end_user_id: 'u1' } }, shared],
        ['an unknown end user', { user: 'u1' }, { tags: { other: 'u2' } }, shared],
        ['a known end user while this one is unknown', {}, { user: 'u1' }, shared],
        ['an unknown end user, and so is this one', {}, {}, shared],
        ['another end user', { user: 'u1' }, { user: 'u2' }, revoked],
        ['another end user, whatever the tag says', { user: 'u1' }, { user: 'u2', tags: { end_user_id: 'u1' } }, revoked],
        ['another end user, said by a tag', { user: 'u1' }, { tags: { end_user_id: 'u2' } }, revoked],
    ])('beside a connection of %s', async (_name, mine, others, expected) => {
        const { mail, other } = await oneApp();
        const connected = await connect(mail, mine);
        await other(others);
        expect(await deleted(connected)).toEqual(expected);
        expect(server.requests).toHaveLength(expected === shared ? 0 : 1);
        expect(await recorded(connected)).toMatchObject([{ state: 'success', level: 'info' }]);
    });

    test('the last of them is revoked', async () => {
        const { mail, other } = await oneApp();
        const [first, second, third] = [await connect(mail, { user: 'u1' }), await connect(mail, { user: 'u1' }), await other({ user: 'u1' })];
        expect(await deleted(first)).toEqual(shared);
        expect(await deleted(third)).toEqual(shared);
        expect(server.requests).toEqual([]);
        expect(await deleted(second)).toEqual(revoked);
        expect(sent()).toMatchObject([['POST /revoke', form, undefined, expect.stringContaining(second.token)]]);
    });

    test('also in another environment', async () => {
        const { mail, other } = await oneApp({ key: valetkey.prodKey, environment: 'prod' });
        const connected = await connect(mail, { user: 'u1' });
        const elsewhere = await other({ user: 'u1' });
        expect(await deleted(connected)).toEqual(shared);
        expect(await deleted(elsewhere, valetkey.prodKey)).toEqual(revoked);
    });

    test('another OAuth app of the same user does not matter', async () => {
        const [one, another] = [await oneApp(), await oneApp()];
        const connected = await connect(one.mail, { user: 'u1' });
        await connect(another.mail, { user: 'u1' });
        expect(await deleted(connected)).toEqual(revoked);
    });

    test('of an OAuth app that the connection brought along, it is that one which counts', async () => {
        const [{ mail, other, client }, foreign] = [await oneApp(), await oneApp()];
        await other({ user: 'u1' });
        const own = (client_id: string) => ({ user: 'u1', credentials: { config_override: { client_id, client_secret: 'own-secret' } } });
        expect(await deleted(await connect(mail, own('own')))).toEqual(revoked);
        expect(await deleted(await connect(foreign.mail, own(client)))).toEqual(shared);
        expect(server.requests).toHaveLength(1);
    });

    test('elsewhere the grant is revoked, whoever else is connected', async () => {
        const { other } = await oneApp({ provider: 'plain' });
        const [connected] = [await other({ user: 'u1' }), await other({ user: 'u1' })];
        expect(await deleted(connected)).toEqual(revoked);
    });
});

describe('a provider that does not do it', () => {
    const failing: [string, (response: ServerResponse) => unknown, Record<string, unknown>][] = [
        ['refuses', (response) => response.writeHead(400).end('{"error":"unsupported_token_type"}'), { status: 400, code: 'unsupported_token_type' }],
        ['is down', (response) => response.writeHead(503).end('<html>'), { status: 503, code: 'unexpected_answer' }],
        ['says so in a 200', (response) => response.writeHead(200).end('{"error":{"a":1}}'), { status: 200, code: 'unexpected_answer' }],
        ['redirects', (response) => response.writeHead(307, { location: '/elsewhere' }).end(), { status: 307, code: 'unexpected_answer' }],
        ['hangs up', (response) => response.destroy(), { code: 'connection_lost' }],
        ['sends without end', (response) => response.writeHead(200).end(Buffer.alloc(2 ** 21)), { code: 'response_too_large' }],
    ];

    test.each(failing)('%s: the connection is deleted all the same, it is tried once, and the operation tells', async (_name, answer, expected) => {
        server.respond((response) => void answer(response));
        const connected = await connect('plain');
        expect((await remove(connected)).status).toBe(200);
        expect(await outcome(connected)).toEqual({ outcome: 'failed', token: 'refresh_token', ...expected });
        expect(await recorded(connected)).toMatchObject([{ state: 'success', level: 'warn' }]);
        expect(server.requests).toHaveLength(1);
    });

    test('repeats secrets: neither the operation nor the log does', async () => {
        server.respond((response, request) => {
            const sentToken = new URLSearchParams(request.body).get('token');
            response.writeHead(400).end(json({ error: `no ${sentToken} of ${app.client_secret}` }));
        });
        const connected = await connect('plain');
        await remove(connected);
        expect(await outcome(connected)).toMatchObject({ code: 'no [redacted] of [redacted]' });
        expect(valetkey.log()).not.toContain(connected.token);
    });

    test('never answers: given up', async () => {
        server.respond(() => {});
        const hurried = await start({ waits: { 8_000: 50 } });
        const connected = await connect('plain', { to: hurried });
        expect((await remove(connected, '', hurried)).status).toBe(200);
        await eventually(async () => {
            const rows = await hurried.query('select meta from operations where connection_id = $1', [connected.id]);
            expect(rows).toEqual([{ meta: { revocation: { outcome: 'failed', token: 'refresh_token', code: 'deadline_exceeded' } } }]);
        });
        await hurried.close();
    });
});

describe('many, and shutdown', () => {
    test('twenty at a time; what is under way when the server stops is waited for, what has not begun is given up', async () => {
        const held = Promise.withResolvers<void>();
        server.respond(async (response) => {
            await held.promise;
            succeed(response);
        });
        const stopping = await start();
        const all: Connected[] = [];
        for (let count = 0; count < 23; count += 1) {
            all.push(await connect('plain', { to: stopping }));
            await remove(all.at(-1)!, '', stopping);
        }
        await eventually(() => expect(server.requests).toHaveLength(20));
        const { database } = stopping.config;
        const client = new pg.Client({ connectionString: (database as { url: string }).url });
        await client.connect();
        const outcomes = async (): Promise<Record<string, number>> => {
            const { rows } = await client.query<{ revocation: string; n: string }>(
                `select coalesce(meta -> 'revocation' ->> 'code', meta -> 'revocation' ->> 'outcome') as revocation, count(*) as n
                from operations where type = 'connection' group by 1`,
            );
            return Object.fromEntries(rows.map((row) => [row.revocation, Number(row.n)]));
        };
        expect(await outcomes()).toEqual({ pending: 23 });
        let isClosed = false;
        const closed = stopping.app.close().then(() => {
            isClosed = true;
        });
        await eventually(async () => expect(await outcomes()).toEqual({ pending: 20, shutting_down: 3 }));
        expect(isClosed).toBe(false);
        held.resolve();
        await closed;
        expect(await outcomes()).toEqual({ revoked: 20, shutting_down: 3 });
        expect(server.requests).toHaveLength(20);
        await client.end();
        await stopping.close();
    });

    test('a place that becomes free is taken by the next', async () => {
        const waiting: (() => void)[] = [];
        server.respond((response) => void waiting.push(() => succeed(response)));
        const all = await Promise.all(Array.from({ length: 22 }, () => connect('plain')));
        for (const connected of all) {
            await remove(connected);
        }
        await eventually(() => expect(waiting).toHaveLength(20));
        waiting[0]!();
        await eventually(() => expect(waiting).toHaveLength(21));
        waiting[1]!();
        await eventually(() => expect(waiting).toHaveLength(22));
        waiting.slice(2).forEach((release) => release());
        for (const connected of all) {
            expect(await outcome(connected)).toMatchObject({ outcome: 'revoked' });
        }
    });
});
