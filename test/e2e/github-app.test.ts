/** APP and CUSTOM: installing an app at GitHub, approvals, and both tokens (auth-modes §12, S2, S7, S12, S13, E4; http-api §11.6). */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expirePending } from '../../src/connect/pending.ts';
import { systemSources } from '../../src/sources.ts';
import { createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type Answer, type TestApp } from '../http/app.ts';
import { startGithub, type Github } from '../peers/github.ts';
import { openPopup, sentenceOf, type Frame, type Popup } from './popup.ts';
import { githubAppEntry, githubAppOauthEntry, providersFile } from './provider-entries.ts';
import { openCallback, type CallbackAnswer } from './user.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

let github: Github;
let valetkey: TestApp;

beforeAll(async () => {
    github = await startGithub();
    valetkey = await startTestApp({
        providers: providersFile(githubAppEntry('app', github.url), githubAppOauthEntry('custom', github.url)),
        waits: { 1000: 0 },
    });
    await valetkey.listen();
    const app = { app_id: github.appId, app_link: github.appLink, private_key: github.privateKey };
    await createIntegration(valetkey, 'app', 'app', { credentials: { type: 'APP', ...app } });
    await createIntegration(valetkey, 'custom', 'custom', {
        credentials: { type: 'CUSTOM', client_id: github.clientId, client_secret: github.clientSecret, ...app },
    });
});

afterAll(async () => {
    await valetkey?.close();
    await github?.close();
});

beforeEach(() => {
    github.faults.clear();
    github.requests.length = 0;
    github.userTokenLifetime = 28_800;
});

interface Connection {
    connection_id: string;
    credentials: Record<string, unknown> & { access_token: string };
    connection_config: Record<string, unknown> & { userCredentials?: Record<string, unknown> };
    tags: Record<string, string>;
    errors: unknown[];
}

type Visit = Parameters<Github['visit']>[1];

const setupUrl = (mode: string): string => `${valetkey.url}${mode === 'app' ? '/app-auth/connect' : '/oauth/callback'}`;
const sessionFor = (user: string, rest: Record<string, unknown> = {}): Promise<string> =>
    createSession(valetkey, { end_user: { id: user }, ...rest });
const open = (integration: string, token: string, query = ''): Promise<Popup> =>
    openPopup(valetkey.url, `/oauth/connect/${integration}?connect_session_token=${token}${query}`);
const paths = (): string[] => github.requests.map(({ method, path }) => `${method} ${path}`);
const rows = async (): Promise<number> => (await valetkey.query('select 1 from connections where deleted_at is null')).length;
const read = async (id: string, integration: string, query = ''): Promise<Connection> => {
    const answer = await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=${integration}${query}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.body;
};

interface Finished {
    page: CallbackAnswer;
    outcome: Frame;
    installationId: string | undefined;
}

/** A whole flow: session, popup, installation page, callback. */
async function go(
    integration: string,
    visit: Partial<Visit> & { user?: string; token?: string; query?: string; change?: (callback: URL) => void; cookie?: string } = {},
): Promise<Finished> {
    const { user = 'user-1', token, query, change, cookie, ...rest } = visit;
    const popup = await open(integration, token ?? (await sessionFor(user)), query);
    expect(popup.first.status, popup.firstText).toBe(302);
    const { callback, installationId } = github.visit(popup.authorizationUrl, { setupUrl: setupUrl(integration), login: 'ann', ...rest });
    const address = new URL(callback);
    change?.(address);
    const page = await openCallback(address.href, cookie ?? popup.cookie);
    return { page, outcome: await popup.socket.outcome(), installationId };
}

async function connected(integration: string, visit: Parameters<typeof go>[1] = {}): Promise<{ id: string; installationId: string }> {
    const { page, outcome, installationId } = await go(integration, visit);
    expect([page.status, outcome], page.html).toMatchObject([200, { message_type: 'success', is_pending: false }]);
    return { id: outcome.connection_id!, installationId: installationId! };
}

const reconnectSession = async (id: string, integration: string): Promise<string> =>
    (
        await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: integration },
        })
    ).body.data.token;

describe('APP', () => {
    test('the installation’s token is the credential; what was preset and typed in is kept', async () => {
        const token = await createSession(valetkey, {
            end_user: { id: 'user-1' },
            integrations_config_defaults: { app: { connection_config: { preset: 'p' } } },
        });
        const { id, installationId } = await connected('app', { token, query: '&params[typed]=t' });
        const { credentials, connection_config, tags } = await read(id, 'app');
        expect(credentials).toEqual({
            type: 'APP',
            access_token: expect.stringMatching(/^ghs_/) as string,
            expires_at: expect.stringMatching(/Z$/) as string,
            raw: expect.objectContaining({ token: credentials.access_token, permissions: { contents: 'read' } }) as unknown,
            jwtToken: connection_config['jwtToken'],
        });
        expect(github.knows(credentials.access_token)).toBe(true);
        expect(connection_config).toEqual({
            preset: 'p',
            typed: 't',
            installation_id: installationId,
            app_id: github.appId,
            jwtToken: expect.any(String) as string,
        });
        expect(decodeJwt(connection_config['jwtToken'] as string).iss).toBe(github.appId);
        expect(tags).toEqual({ end_user_id: 'user-1' });
        // S13: asked for before a token was
        expect(paths()).toEqual([`GET /app/installations/${installationId}`, `POST /app/installations/${installationId}/access_tokens`]);
    });

    test('the JWT is sealed, and shown to those who may read credentials only (E4)', async () => {
        const { id } = await connected('app');
        const { connection_config, credentials } = await read(id, 'app');
        const stored = JSON.stringify(await valetkey.query('select * from connections'));
        for (const secret of [connection_config['jwtToken'] as string, credentials.access_token]) {
            expect([stored.includes(secret), valetkey.log().includes(secret)]).toEqual([false, false]);
        }
        const key = await valetkey.insertKey({ scopes: ['environment:connections:read'] });
        const seen = await valetkey.call<Connection>('GET', `/connections/${id}?provider_config_key=app`, { key });
        expect(seen.body.connection_config).not.toHaveProperty('jwtToken');
    });

    test('the page of the app gets the state and what may be added to it', async () => {
        const popup = await open('app', await sessionFor('user-1'), '&authorization_params[suggested_target_id]=7');
        const location = new URL(popup.authorizationUrl);
        expect(location.href.split('?')[0]).toBe(`${github.appLink}/installations/new`);
        expect(Object.fromEntries(location.searchParams)).toEqual({
            suggested_target_id: '7',
            state: expect.stringMatching(/^[\w-]{43}$/) as string,
        });
        const refused = await open('app', await sessionFor('user-1'), '&authorization_params[state]=mine');
        expect(await refused.socket.outcome()).toMatchObject({ error_type: 'url_param_err' });
    });

    test('is renewed when forced, reconnected to another installation, and deleted', async () => {
        const { id } = await connected('app');
        const before = await read(id, 'app');
        const renewed = await read(id, 'app', '&force_refresh=true');
        expect(renewed.credentials.access_token).not.toBe(before.credentials.access_token);
        const again = await connected('app', { token: await reconnectSession(id, 'app') });
        expect(again.id).toBe(id);
        const after = await read(id, 'app');
        expect(after.connection_config['installation_id']).toBe(again.installationId);
        expect(after.tags).toEqual(before.tags);
        expect((await valetkey.call('DELETE', `/connections/${id}?provider_config_key=app`)).status).toBe(200);
    });

    describe('GET /app-auth/connect', () => {
        const jsonOf = (page: CallbackAnswer): unknown => JSON.parse(page.html);

        test('without state, after a change at GitHub: a page that leads nowhere (S7)', async () => {
            for (const action of ['install', 'update']) {
                const answer = await fetch(`${valetkey.url}/app-auth/connect?setup_action=${action}&installation_id=1`, {
                    headers: { referer: 'https://evil.example/' },
                    redirect: 'manual',
                });
                const html = await answer.text();
                expect([answer.status, answer.headers.get('location')]).toEqual([200, null]);
                expect(html).toContain('Installation saved');
                expect(html).not.toMatch(/<script|https?:|evil/);
            }
        });

        test('without state otherwise 400, with an unknown one 404', async () => {
            for (const [query, status] of [
                ['', 400],
                ['?setup_action=request', 400],
                ['?setup_action=install&state=', 200],
                ['?installation_id=1&setup_action=install&state=made-up', 404],
                ['?payload=made-up', 400],
            ] as const) {
                expect([query, (await openCallback(`${valetkey.url}/app-auth/connect${query}`, '')).status]).toEqual([query, status]);
            }
        });

        test('a request for an approval, a flow of another mode, an integration that is gone: JSON, and the socket', async () => {
            const request = await go('app', { action: 'request' });
            expect([request.page.status, jsonOf(request.page), request.outcome]).toMatchObject([
                400,
                { error: { code: 'wrong_auth_mode', payload: {} } },
                { error_type: 'wrong_auth_mode' },
            ]);
            const other = await go('custom', { setupUrl: setupUrl('app'), withCode: true });
            expect([other.page.status, jsonOf(other.page)]).toMatchObject([400, { error: { code: 'invalid_auth_mode' } }]);
            await createIntegration(valetkey, 'leaving', 'app', {
                credentials: { type: 'APP', app_id: github.appId, app_link: github.appLink, private_key: github.privateKey },
            });
            const popup = await open('leaving', await sessionFor('user-1'));
            await valetkey.call('DELETE', '/integrations/leaving');
            const { callback } = github.visit(popup.authorizationUrl, { setupUrl: setupUrl('app'), login: 'ann' });
            const gone = await openCallback(callback, popup.cookie);
            expect([gone.status, jsonOf(gone)]).toMatchObject([400, { error: { code: 'unknown_provider_config' } }]);
        });

        test.each<[string, (callback: URL) => void, string]>([
            ['no installation', (callback) => callback.searchParams.delete('installation_id'), 'callback_err'],
            ['one that cannot be', (callback) => callback.searchParams.set('installation_id', '../../user'), 'callback_err'],
            ['one of another app', (callback) => callback.searchParams.set('installation_id', '1'), 'callback_err'],
        ])('%s: nothing is connected', async (_name, change, type) => {
            const before = await rows();
            const { page, outcome } = await go('app', { change });
            expect([page.status, outcome.error_type]).toEqual([400, type]);
            expect(await rows()).toBe(before);
        });

        test('a suspended installation is not connected', async () => {
            const { page, outcome } = await go('app', { installation: github.addInstallation(['ann'], { suspended: true }) });
            expect([page.status, outcome.error_type, sentenceOf(page.html)]).toEqual([400, 'callback_err', expect.stringContaining('suspended')]);
        });

        test('another browser, no cookie, a replay, too late', async () => {
            for (const cookie of ['', 'valetkey-flow-x=y']) {
                const { page, outcome } = await go('app', { cookie });
                expect([page.status, outcome.error_type]).toEqual([400, 'state_cookie_err']);
            }
            const popup = await open('app', await sessionFor('user-1'));
            const { callback } = github.visit(popup.authorizationUrl, { setupUrl: setupUrl('app'), login: 'ann' });
            expect((await openCallback(callback, popup.cookie)).status).toBe(200);
            const before = [await rows(), paths().length];
            expect((await openCallback(callback, popup.cookie)).status).toBe(404);
            expect([await rows(), paths().length]).toEqual(before);
            const late = await open('app', await sessionFor('user-1'));
            await valetkey.query(`update oauth_flows set expires_at = now() - interval '1 second' where consumed_at is null`);
            const lateCallback = github.visit(late.authorizationUrl, { setupUrl: setupUrl('app'), login: 'ann' }).callback;
            expect((await openCallback(lateCallback, late.cookie)).status).toBe(400);
            expect(await late.socket.outcome()).toMatchObject({ error_type: 'state_err' });
        });

        test('GitHub is away, or answers something else', async () => {
            const before = await rows();
            for (const fault of [
                (response: ServerResponse) => void response.destroy(),
                (response: ServerResponse) => void response.writeHead(502).end('<html>'),
                (response: ServerResponse) => void response.writeHead(302, { location: '/user' }).end(),
            ]) {
                github.faults.set('/app/', fault);
                const { page, outcome } = await go('app');
                expect([page.status, outcome.message_type]).toEqual([400, 'error']);
            }
            expect(await rows()).toBe(before);
            expect(paths()).not.toContain('GET /user');
        });
    });

    test('an integration without link or key is not begun', async () => {
        await createIntegration(valetkey, 'unfinished', 'app', {
            credentials: { type: 'APP', app_id: github.appId, app_link: github.appLink, private_key: github.privateKey },
        });
        await valetkey.query(`update integrations set sealed_oauth_client_secret = null where unique_key = 'unfinished'`);
        const popup = await open('unfinished', await sessionFor('user-1'));
        expect(await popup.socket.outcome()).toMatchObject({ error_type: 'provider_config_err' });
    });
});

describe('CUSTOM', () => {
    test('the installation’s token is the credential, the person’s is kept beside it', async () => {
        const { id, installationId } = await connected('custom', { withCode: true });
        const { credentials, connection_config } = await read(id, 'custom', '&refresh_token=true');
        expect(credentials).toMatchObject({ type: 'APP', access_token: expect.stringMatching(/^ghs_/) as string });
        expect(connection_config).toEqual({
            installation_id: installationId,
            app_id: github.appId,
            handle: 'ann',
            jwtToken: expect.any(String) as string,
            userCredentials: {
                type: 'OAUTH2',
                access_token: expect.stringMatching(/^ghu_/) as string,
                refresh_token: expect.stringMatching(/^ghr_/) as string,
                expires_at: expect.stringMatching(/Z$/) as string,
                raw: expect.anything() as unknown,
            },
        });
        // as for every refresh token: only if it is asked for
        expect((await read(id, 'custom')).connection_config.userCredentials).not.toHaveProperty('refresh_token');
        const stored = JSON.stringify(await valetkey.query('select * from connections'));
        expect(stored).not.toContain(connection_config.userCredentials!['access_token'] as string);
    });

    test('S13: an installation that GitHub does not list for this person is refused', async () => {
        const before = await rows();
        const { page, outcome } = await go('custom', { withCode: true, login: 'mallory', installation: github.addInstallation(['ann']) });
        expect([page.status, outcome.error_type, sentenceOf(page.html)]).toEqual([400, 'callback_err', expect.stringContaining('does not list')]);
        expect(await rows()).toBe(before);
        expect(paths().filter((path) => path.includes('access_tokens'))).toEqual([]);
    });

    test('the list has pages', async () => {
        github.addOthers('collector', 230);
        await connected('custom', { withCode: true, login: 'collector' });
        expect(github.requests.filter(({ path }) => path === '/user/installations').map(({ query }) => query['page'])).toEqual(['1', '2', '3']);
    });

    test('an installation that is connected already is renewed: its id is reported, its configuration kept', async () => {
        const first = await connected('custom', { withCode: true, query: '&params[own]=kept' });
        const before = await read(first.id, 'custom');
        const second = await connected('custom', { withCode: true, user: 'user-2', installation: first.installationId, query: '&params[more]=m' });
        expect(second.id).toBe(first.id);
        const after = await read(first.id, 'custom');
        expect(after.connection_config).toMatchObject({ own: 'kept', more: 'm', handle: 'ann', installation_id: first.installationId });
        expect(after.credentials.access_token).not.toBe(before.credentials.access_token);
        expect(after.tags['end_user_id']).toBe('user-2');
    });

    test('without a code, after an update: the app’s own credentials', async () => {
        const installation = github.addInstallation(['ann']);
        const { id } = await connected('custom', { action: 'update', installation });
        const { credentials, connection_config } = await read(id, 'custom');
        expect(credentials['type']).toBe('APP');
        expect(connection_config).not.toHaveProperty('userCredentials');
        expect(paths()).not.toContain('POST /login/oauth/access_token');
    });

    test('without a code, what is connected keeps its person; and only its own user or a reconnect renews it', async () => {
        const first = await connected('custom', { withCode: true });
        const own = { action: 'update', installation: first.installationId } as const;
        const { outcome, page } = await go('custom', { ...own, user: 'mallory' });
        expect([page.status, outcome.error_type]).toEqual([400, 'callback_err']);
        expect((await read(first.id, 'custom')).tags['end_user_id']).toBe('user-1');
        expect((await connected('custom', own)).id).toBe(first.id);
        expect((await connected('custom', { ...own, token: await reconnectSession(first.id, 'custom') })).id).toBe(first.id);
        expect((await read(first.id, 'custom')).connection_config).toMatchObject({ handle: 'ann', userCredentials: { type: 'OAUTH2' } });
    });

    test('a reconnect does not take over the installation of another connection', async () => {
        const [one, two] = [await connected('custom', { withCode: true }), await connected('custom', { withCode: true })];
        const { outcome } = await go('custom', { withCode: true, installation: two.installationId, token: await reconnectSession(one.id, 'custom') });
        expect(outcome.error_type).toBe('callback_err');
        expect((await read(one.id, 'custom')).connection_config['installation_id']).toBe(one.installationId);
    });

    test.each<[string, Parameters<typeof go>[1]]>([
        ['neither code nor installation', { action: 'request' }],
        ['an installation without a code', { action: 'install' }],
        ['a refusal', { action: 'request', change: (callback) => callback.searchParams.set('error', 'access_denied') }],
        ['a code that is none', { withCode: true, change: (callback) => callback.searchParams.set('code', 'guessed') }],
    ])('%s: nothing is connected', async (name, visit) => {
        const before = await rows();
        const { page, outcome } = await go('custom', visit);
        expect([page.status, outcome.error_type]).toEqual([400, name === 'a code that is none' ? 'unknown_err' : 'callback_err']);
        expect(await rows()).toBe(before);
    });

    test('another browser, a replay', async () => {
        expect((await go('custom', { withCode: true, cookie: '' })).outcome.error_type).toBe('state_cookie_err');
        const popup = await open('custom', await sessionFor('user-1'));
        const { callback } = github.visit(popup.authorizationUrl, { setupUrl: setupUrl('custom'), login: 'ann', withCode: true });
        expect((await openCallback(callback, popup.cookie)).status).toBe(200);
        expect((await openCallback(callback, popup.cookie)).status).toBe(400);
    });

    describe('renewal', () => {
        test('renews both tokens', async () => {
            const { id } = await connected('custom', { withCode: true });
            const before = await read(id, 'custom', '&refresh_token=true');
            const after = await read(id, 'custom', '&refresh_token=true&force_refresh=true');
            expect(after.credentials.access_token).not.toBe(before.credentials.access_token);
            for (const name of ['access_token', 'refresh_token']) {
                const [old, renewed] = [before, after].map(({ connection_config }) => connection_config.userCredentials![name] as string);
                expect(renewed).toMatch(/^gh[ur]_/);
                expect(renewed).not.toBe(old);
            }
            // and again, with the rotated one
            const third = await read(id, 'custom', '&refresh_token=true&force_refresh=true');
            expect(third.connection_config.userCredentials).not.toEqual(after.connection_config.userCredentials);
            expect(third.connection_config).toMatchObject({ handle: 'ann', installation_id: before.connection_config['installation_id'] });
        });

        test('a person’s token that cannot be renewed stays as it was, and the connection is well', async () => {
            const { id } = await connected('custom', { withCode: true });
            const before = await read(id, 'custom', '&refresh_token=true');
            github.revokeUserTokens();
            for (const fault of [
                undefined,
                (response: ServerResponse) => void response.destroy(),
                (response: ServerResponse) => void response.end('<html>'),
            ]) {
                if (fault !== undefined) {
                    github.faults.set('/login/', fault);
                }
                const after = await read(id, 'custom', '&refresh_token=true&force_refresh=true');
                expect(after.connection_config.userCredentials).toEqual(before.connection_config.userCredentials);
                expect(after.errors).toEqual([]);
                expect(github.knows(after.credentials.access_token)).toBe(true);
            }
        });

        test('while the installation’s token is refused, the person’s is not touched', async () => {
            const { id } = await connected('custom', { withCode: true });
            github.requests.length = 0;
            github.faults.set('/app/', (response) => void response.writeHead(403).end('{}'));
            const answer = await valetkey.call<{ error: { payload: { type: string } } }>(
                'GET',
                `/connections/${id}?provider_config_key=custom&force_refresh=true`,
            );
            expect([answer.status, answer.body.error.payload.type]).toEqual([400, 'github_app_token_fetch_error']);
            expect(paths()).not.toContain('POST /login/oauth/access_token');
        });

        test('a person’s token that lives for ever is left alone', async () => {
            github.userTokenLifetime = 0;
            const { id } = await connected('custom', { withCode: true });
            github.requests.length = 0;
            await read(id, 'custom', '&force_refresh=true');
            expect(paths()).toEqual([expect.stringContaining('access_tokens')]);
        });
    });
});

describe('an installation that waits for an approval', () => {
    let webhookUrl: string;
    let secret: string;

    beforeAll(async () => {
        const integration = await valetkey.call<{ data: { webhook_url: string } }>('GET', '/integrations/custom?include=webhook');
        webhookUrl = integration.body.data.webhook_url;
        secret = createHash('sha256')
            .update(`${github.appId}${Buffer.from(github.privateKey.trim()).toString('base64')}${github.appLink}`)
            .digest('hex');
    });

    test('the secret to sign with can be read by old clients', async () => {
        const config = await valetkey.call<{ config: { webhook_secret: string } }>('GET', '/config/custom?include_creds=true');
        expect(config.body.config.webhook_secret).toBe(secret);
    });

    const request = async (login: string, rest: Parameters<typeof go>[1] = {}): Promise<string> => {
        const { page, outcome } = await go('custom', { action: 'request', withCode: true, login, ...rest });
        expect([page.status, outcome], page.html).toMatchObject([200, { message_type: 'success', is_pending: true }]);
        expect(page.html).toContain('Waiting for approval');
        return outcome.connection_id!;
    };
    const state = async (id: string): Promise<string | undefined> =>
        (await valetkey.query<{ auth_state: string }>('select auth_state from connections where connection_id = $1 and deleted_at is null', [id]))[0]
            ?.auth_state;
    const operation = async (id: string): Promise<string | undefined> =>
        (
            await valetkey.query<{ state: string }>(
                `select o.state from operations o join connections c on c.connection_id = $1 and o.connection_row_id = c.id
                 where o.message like '%nstallation%' order by o.created_at desc limit 1`,
                [id],
            )
        )[0]?.state;

    test('has the person’s token meanwhile, which is renewed as any other', async () => {
        const id = await request('bob');
        const { credentials, connection_config } = await read(id, 'custom');
        expect(credentials).toMatchObject({ type: 'OAUTH2', access_token: expect.stringMatching(/^ghu_/) as string });
        expect(connection_config).toEqual({ pending: true, pendingLog: expect.any(String) as string, app_id: github.appId, handle: 'bob' });
        expect([await state(id), await operation(id)]).toEqual(['pending', 'waiting']);
        const renewed = await read(id, 'custom', '&force_refresh=true');
        expect(renewed.credentials.access_token).not.toBe(credentials.access_token);
        expect(renewed.connection_config['pending']).toBe(true);
        github.faults.set('/login/', (response) => void response.destroy());
        await valetkey.call('GET', `/connections/${id}?provider_config_key=custom&force_refresh=true`);
        expect(await state(id)).toBe('pending');
    });

    test('an unsigned, forged or otherwise signed webhook changes nothing (S12)', async () => {
        const id = await request('carol');
        const event = github.installationEvent(github.addInstallation(['carol']), 'carol');
        for (const [wrong, code] of [
            [null, 'webhook_missing_signature'],
            ['guessed', 'webhook_invalid_signature'],
            [github.clientSecret, 'webhook_invalid_signature'],
        ] as const) {
            const answer = await github.send(webhookUrl, 'installation', event, wrong);
            expect([answer.status, await answer.json()]).toMatchObject([401, { error: { code } }]);
        }
        expect([await state(id), paths().filter((path) => path.includes('/app/'))]).toEqual(['pending', []]);
    });

    test('the approval completes it: the installation’s token, the person’s beside it, and the backend is told', async () => {
        await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'http://127.0.0.1:9/' } });
        const id = await request('dave', { query: '&params[own]=kept' });
        const before = await read(id, 'custom', '&refresh_token=true');
        const installationId = github.addInstallation(['dave']);
        const event = github.installationEvent(installationId, 'dave');
        const answer = await github.send(webhookUrl, 'installation', event, secret);
        expect([answer.status, await answer.json()]).toEqual([200, { status: 'success' }]);
        const after = await read(id, 'custom', '&refresh_token=true');
        expect(after.credentials).toMatchObject({ type: 'APP', access_token: expect.stringMatching(/^ghs_/) as string });
        expect(after.connection_config).toEqual({
            own: 'kept',
            installation_id: installationId,
            app_id: github.appId,
            handle: 'dave',
            jwtToken: expect.any(String) as string,
            userCredentials: before.credentials,
        });
        expect([await state(id), await operation(id)]).toEqual(['ok', 'success']);
        const told = async (): Promise<unknown[]> =>
            (await valetkey.query<{ body: string }>('select body from webhook_events order by created_at'))
                .map(({ body }) => JSON.parse(body) as { connectionId: string; operation: string; success: boolean })
                .filter(({ connectionId }) => connectionId === id)
                .map(({ operation: what, success }) => [what, success]);
        expect(await told()).toEqual([
            ['creation', true],
            ['override', true],
        ]);
        // delivered twice
        const calls = paths().length;
        expect((await github.send(webhookUrl, 'installation', event, secret)).status).toBe(200);
        expect([paths().length, (await told()).length]).toEqual([calls, 2]);
        expect((await read(id, 'custom', '&force_refresh=true&refresh_token=true')).connection_config.userCredentials).not.toEqual(
            before.credentials,
        );
    });

    test('a renewal of the person’s token that is under way is waited for, so that what it brings is kept', async () => {
        const id = await request('kim');
        let answer: (() => void) | undefined;
        const asked = new Promise<void>((resolve) => {
            github.faults.set('/login/', (response) => {
                github.faults.delete('/login/');
                answer = () => response.end(JSON.stringify({ access_token: 'ghu_rotated', refresh_token: 'ghr_rotated', expires_in: 28_800 }));
                resolve();
            });
        });
        const renewal = valetkey.call('GET', `/connections/${id}?provider_config_key=custom&force_refresh=true`);
        await asked;
        const approval = github.send(webhookUrl, 'installation', github.installationEvent(github.addInstallation(['kim']), 'kim'), secret);
        await expect.poll(() => paths().some((path) => path.endsWith('/access_tokens'))).toBe(true);
        answer!();
        expect([(await renewal).status, (await approval).status]).toEqual([200, 200]);
        const { credentials, connection_config } = await read(id, 'custom', '&refresh_token=true');
        expect([credentials['type'], connection_config.userCredentials]).toMatchObject([
            'APP',
            { access_token: 'ghu_rotated', refresh_token: 'ghr_rotated' },
        ]);
    });

    test('events of other people, apps and kinds complete nothing', async () => {
        const id = await request('erin');
        const installationId = github.addInstallation(['erin']);
        const event = github.installationEvent(installationId, 'erin');
        for (const [name, body, status] of [
            ['installation', github.installationEvent(installationId, 'frank'), 200],
            ['installation', github.installationEvent(installationId, null), 204],
            ['installation', github.installationEvent(installationId, 'erin', 'deleted'), 204],
            ['installation', { ...event, installation: { id: Number(installationId), app_id: 1 } }, 200],
            ['push', event, 204],
        ] as const) {
            expect((await github.send(webhookUrl, name, body, secret)).status).toBe(status);
        }
        expect(await state(id)).toBe('pending');
    });

    test('if several users wait under one name, none of them gets it; of one user’s attempts, the newest does', async () => {
        const [first, second] = [await request('gina', { user: 'user-1' }), await request('gina', { user: 'user-2' })];
        const event = github.installationEvent(github.addInstallation(['gina']), 'gina');
        expect((await github.send(webhookUrl, 'installation', event, secret)).status).toBe(200);
        expect([await state(first), await state(second)]).toEqual(['pending', 'pending']);
        const [older, newer] = [await request('henry'), await request('henry')];
        await github.send(webhookUrl, 'installation', github.installationEvent(github.addInstallation(['henry']), 'henry'), secret);
        expect([await state(older), await state(newer)]).toEqual(['pending', 'ok']);
    });

    test('an outage leaves it waiting, and the same event completes it later', async () => {
        const id = await request('iris');
        const event = github.installationEvent(github.addInstallation(['iris']), 'iris');
        github.faults.set('/app/', (response) => void response.writeHead(503).end());
        const answer = await github.send(webhookUrl, 'installation', event, secret);
        expect([answer.status, await answer.json()]).toMatchObject([502, { error: { code: 'installation_not_completed' } }]);
        expect(await state(id)).toBe('pending');
        github.faults.clear();
        expect((await github.send(webhookUrl, 'installation', event, secret)).status).toBe(200);
        expect(await state(id)).toBe('ok');
    });

    test('a working connection is not given up for one that waits (S15)', async () => {
        const { id } = await connected('custom', { withCode: true });
        const { outcome } = await go('custom', { action: 'request', withCode: true, token: await reconnectSession(id, 'custom') });
        expect(outcome.error_type).toBe('callback_err');
        expect((await read(id, 'custom')).credentials['type']).toBe('APP');
    });

    test('nor one that was approved while its user came back to ask once more (S15)', async () => {
        const id = await request('oscar');
        const token = await reconnectSession(id, 'custom');
        const event = github.installationEvent(github.addInstallation(['oscar']), 'oscar');
        github.faults.set('/user', (response) => {
            void github.send(webhookUrl, 'installation', event, secret).then((answer) => {
                expect(answer.status).toBe(200);
                response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ login: 'oscar', id: 1 }));
            });
        });
        const { outcome } = await go('custom', { action: 'request', withCode: true, login: 'oscar', token });
        expect(outcome.error_type).toBe('callback_err');
        expect([await state(id), (await read(id, 'custom')).credentials['type']]).toEqual(['ok', 'APP']);
    });

    test('after a week without an approval it is deleted', async () => {
        const id = await request('jack');
        const { id: other } = await connected('custom', { withCode: true });
        const at = (ms: number) => ({ db: valetkey.app.database.db, sources: { ...systemSources, now: () => systemSources.now() + ms } });
        await expirePending(at(7 * day - minute));
        expect(await state(id)).toBe('pending');
        await expirePending(at(7 * day + minute));
        expect([await state(id), await operation(id), await state(other)]).toEqual([undefined, 'timeout', 'ok']);
        const [row] = await valetkey.query<{ sealed_credentials: string; sealed_secrets: string | null }>(
            'select sealed_credentials, sealed_secrets from connections where connection_id = $1',
            [id],
        );
        expect(row).toEqual({ sealed_credentials: '', sealed_secrets: null });
    });

    test('an operator’s own webhook secret takes the place of the derived one', async () => {
        await valetkey.call('PATCH', '/integrations/custom', { body: { custom: { webhookSecret: 'my-own' } } });
        const event = github.installationEvent('1', 'nobody');
        expect((await github.send(webhookUrl, 'installation', event, secret)).status).toBe(401);
        expect((await github.send(webhookUrl, 'installation', event, 'my-own')).status).toBe(200);
    });
});

describe('POST /webhook/:environmentUuid/:providerConfigKey', () => {
    const post = (path: string): Promise<Answer<{ error: { code: string } }>> => valetkey.call('POST', path, { body: {}, key: null });

    test.each([
        ['not-a-uuid/custom', 400, 'invalid_uri_params'],
        ['0f8fad5b-d9cb-469f-a165-70867728950e/custom', 404, 'unknown_environment'],
        ['ENV/none', 404, 'unknown_provider_config'],
        ['ENV/app', 404, 'not_found'],
    ])('%s: %i %s', async (path, status, code) => {
        const [environment] = await valetkey.query<{ id: string }>(`select id from environments where name = 'dev'`);
        const answer = await post(`/webhook/${path.replace('ENV', environment!.id)}`);
        expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    });
});
