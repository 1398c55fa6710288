/** Connecting again: what of a connection is renewed, and what became of it while the provider was asked. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectKey, createIntegration, createSession } from '../http/accounts.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { listen, readBody, type HttpServer } from '../peers/http-server.ts';
import { apiKeyEntry, oauth2Entry, providersFile } from './provider-entries.ts';
import { openCallback, startConnect } from './user.ts';

let provider: HttpServer;
/** Done once, before the provider answers. */
let meanwhile: (() => Promise<unknown>) | undefined;
let valetkey: TestApp;

beforeAll(async () => {
    provider = await listen((request, response) => {
        void readBody(request)
            .then(() => meanwhile?.())
            .then(() => {
                response.writeHead(200, { 'content-type': 'application/json' });
                response.end(JSON.stringify({ access_token: 'an access token', refresh_token: 'a refresh token', expires_in: 3600 }));
            });
    });
    const url = `http://127.0.0.1:${provider.port}`;
    valetkey = await startTestApp({
        providers: providersFile(
            oauth2Entry('oauth', { authorizationEndpoint: `${url}/authorize`, tokenEndpoint: `${url}/token` }),
            apiKeyEntry('keys', url),
        ),
    });
    await valetkey.listen();
    await createIntegration(valetkey, 'oauth', 'oauth', { credentials: { type: 'OAUTH2', client_id: 'i', client_secret: 's' } });
    await createIntegration(valetkey, 'keys', 'keys');
    await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: 'https://hooks.example.com' } });
});

afterAll(async () => {
    await valetkey?.close();
    await provider?.close();
});

beforeEach(() => {
    meanwhile = undefined;
});

async function connectOauth(token: string, query: Record<string, string> = {}): Promise<{ status: number; html: string }> {
    const { authorizationUrl, cookie } = await startConnect(valetkey.url, 'oauth', token, query);
    const state = new URL(authorizationUrl).searchParams.get('state')!;
    return openCallback(`${valetkey.url}/oauth/callback?code=c&state=${state}`, cookie);
}
const sessionOutcome = async (token: string): Promise<{ status: string; connection_id?: string; error?: { type: string } }> => {
    type Session = { data: { outcome: { status: string; connection_id?: string; error?: { type: string } } } };
    return (await valetkey.call<Session>('GET', '/connect/session', { key: token })).body.data.outcome;
};
async function reconnectSession(integration: string, id: string): Promise<string> {
    const answer = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
        body: { connection_id: id, integration_id: integration },
    });
    return answer.body.data.token;
}
const live = (id: string): Promise<unknown[]> => valetkey.query('select 1 from connections where connection_id = $1 and deleted_at is null', [id]);
const remove = (integration: string, id: string) => valetkey.call('DELETE', `/connections/${id}?provider_config_key=${integration}&revoke=false`);

test('a connection that was deleted while its user consented again is not made again', async () => {
    const first = await createSession(valetkey);
    expect((await connectOauth(first)).status).toBe(200);
    const id = (await sessionOutcome(first)).connection_id!;
    const token = await reconnectSession('oauth', id);
    meanwhile = async () => expect((await remove('oauth', id)).status).toBe(200);
    expect((await connectOauth(token)).status).toBe(400);
    expect(await sessionOutcome(token)).toMatchObject({ status: 'error', error: { type: 'invalid_connection' } });
    expect(await live(id)).toEqual([]);
});

test('nor is one that was deleted while its new key was tried', async () => {
    const id = await connectKey(valetkey, 'keys', await createSession(valetkey));
    const token = await reconnectSession('keys', id);
    meanwhile = () => remove('keys', id);
    await expect(connectKey(valetkey, 'keys', token)).rejects.toThrow('invalid_connection');
    expect(await sessionOutcome(token)).toMatchObject({ status: 'error', error: { type: 'invalid_connection' } });
    expect(await live(id)).toEqual([]);
});

test('and another that took its id meanwhile keeps its credentials', async () => {
    const id = await connectKey(valetkey, 'keys', await createSession(valetkey));
    const token = await reconnectSession('keys', id);
    meanwhile = async () => {
        meanwhile = undefined;
        await remove('keys', id);
        const credentials = { type: 'API_KEY', apiKey: 'of the new one' };
        await valetkey.call('POST', '/connections', { body: { provider_config_key: 'keys', connection_id: id, credentials } });
    };
    await expect(connectKey(valetkey, 'keys', token)).rejects.toThrow('invalid_connection');
    const read = await valetkey.call<{ credentials: object }>('GET', `/connections/${id}?provider_config_key=keys`);
    expect(read.body.credentials).toMatchObject({ apiKey: 'of the new one' });
});

test('a refresh token that was brought along counts no more once there is another from the provider', async () => {
    const first = await createSession(valetkey);
    const own = {
        'credentials[oauth_client_id_override]': 'own',
        'credentials[oauth_client_secret_override]': 'secret',
        'credentials[oauth_refresh_token_override]': 'brought along',
    };
    expect((await connectOauth(first, own)).status).toBe(200);
    const id = (await sessionOutcome(first)).connection_id!;
    const read = async () => {
        const path = `/connections/${id}?provider_config_key=oauth&refresh_token=true`;
        return (await valetkey.call<{ credentials: Record<string, unknown>; connection_config: object }>('GET', path)).body;
    };
    expect(await read()).toMatchObject({ credentials: { refresh_token: 'brought along' }, connection_config: { overrideTokenRefresh: true } });
    expect((await connectOauth(await reconnectSession('oauth', id))).status).toBe(200);
    expect(await read()).toMatchObject({ credentials: { refresh_token: 'a refresh token' } });
    // With it, a renewal would keep this token whatever takes its place (workday-oauth).
    expect((await read()).connection_config).toEqual({});
});
