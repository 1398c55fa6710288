/** The main job on real input: connect, read, three renewals, revocation; with the official backend client throughout. */
import pg from 'pg';
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { connectThrough } from './user.ts';
import { eventually, newEncryptionKey, newTestApiKey, startValetkey, type Valetkey, type ValetkeyOptions } from './valetkey.ts';

interface AuthWebhook {
    type: string;
    operation: string;
    success: boolean;
    connectionId: string;
    error?: { type: string; description: string };
    tags?: Record<string, string>;
    endUser?: Record<string, unknown>;
}

/** Seconds; due after half of it. */
const shortLife = 6;

describe('one account, connected, renewed three ways and revoked', () => {
    let server: AuthorizationServer;
    let receiver: WebhookReceiver;
    let database: Awaited<ReturnType<typeof createDatabase>>;
    let sql: pg.Client;
    let options: ValetkeyOptions;
    /** Serves, but renews nothing in the background. */
    let api: Valetkey;
    let connectionId: string;

    const webhooks = (): AuthWebhook[] => receiver.deliveries.map((delivery) => JSON.parse(delivery.body.toString()) as AuthWebhook);
    const credentials = async (client: Nango, force = false): Promise<{ access_token: string; expires_at: string; refresh_token?: string }> => {
        const connection = await client.getConnection('oidc', connectionId, force, true);
        return connection.credentials as unknown as { access_token: string; expires_at: string; refresh_token?: string };
    };
    const refreshes = (): number => server.tokenRequests.filter((request) => request.grantType === 'refresh_token').length;

    beforeAll(async () => {
        const port = await freePort();
        server = await startAuthorizationServer({ redirectUris: [`http://127.0.0.1:${port}/oauth/callback`], accessTokenTtl: shortLife });
        receiver = await startWebhookReceiver();
        database = await createDatabase();
        sql = new pg.Client({ connectionString: database.url });
        await sql.connect();
        options = {
            port,
            databaseUrl: database.url,
            encryptionKey: newEncryptionKey(),
            apiKey: newTestApiKey(),
            providers: providersFile(oauth2Entry('oidc-test', server, { default_scopes: ['openid', 'offline_access'] })),
            env: { VALETKEY_ROLES: 'api' },
        };
        api = await startValetkey(options);
    });

    afterAll(async () => {
        await api?.stop();
        await sql?.end();
        await Promise.all([server?.close(), receiver?.close()]);
        await database?.drop();
    });

    test('the backend creates an integration, sets its webhook URL and issues a connect session', async () => {
        const { data } = await api.client.createIntegration({
            provider: 'oidc-test',
            unique_key: 'oidc',
            credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'openid,offline_access,read' },
        });
        expect(data).toMatchObject({ unique_key: 'oidc', provider: 'oidc-test', display_name: 'Test oidc-test' });
        expect((await api.client.listProviders({ search: 'OIDC-Test' })).data.map((provider) => provider.name)).toEqual(['oidc-test']);
        expect((await api.client.getProvider({ provider: 'oidc-test' })).data).toMatchObject({ name: 'oidc-test', auth_mode: 'OAUTH2' });
        const settings = await api.call('PATCH', '/environment/webhooks', { primary_url: receiver.url });
        expect(settings.status).toBe(200);
    });

    test('the user authorises, and the connection is stored with a webhook in the outbox', async () => {
        const session = await api.client.createConnectSession({
            end_user: { id: 'user-1', email: 'user@example.com', display_name: 'User One' },
            organization: { id: 'org-1' },
            allowed_integrations: ['oidc'],
        });
        const answer = await connectThrough(server, api.url, 'oidc', session.data.token);
        expect(answer.status, answer.html).toBe(200);
        expect(answer.html).toContain('Connected');

        const { connections } = await api.client.listConnections({ userId: 'user-1' });
        expect(connections).toHaveLength(1);
        connectionId = connections[0]!.connection_id;
        expect(connections[0]).toMatchObject({
            provider: 'oidc-test',
            provider_config_key: 'oidc',
            errors: [],
            end_user: { id: 'user-1', email: 'user@example.com', organization: { id: 'org-1' } },
            tags: { end_user_id: 'user-1', end_user_email: 'user@example.com', end_user_display_name: 'User One', organization_id: 'org-1' },
        });
        const { rows } = await sql.query(`select state, url from webhook_deliveries`);
        expect(rows).toEqual([{ state: 'pending', url: receiver.url }]);
    });

    test('the token is handed out, without the refresh token unless it is asked for', async () => {
        const token = await api.client.getToken('oidc', connectionId);
        expect(token).toBeTypeOf('string');
        const bare = await api.client.getConnection('oidc', connectionId);
        expect(JSON.stringify(bare)).not.toContain('refresh_token"');
        expect((await credentials(api.client)).refresh_token).toBeTypeOf('string');
        const response = await api.call('GET', `/connections/${connectionId}?provider_config_key=oidc`);
        expect(response.headers.get('cache-control')).toBe('no-store');
    });

    test('first renewal: by a read, once half of the token life has passed', async () => {
        const before = await credentials(api.client);
        const known = refreshes();
        await eventually(async () => {
            expect((await credentials(api.client)).access_token).not.toBe(before.access_token);
        });
        expect(refreshes()).toBeGreaterThan(known);
    });

    test('second renewal: forced', async () => {
        server.setAccessTokenTtl(3600);
        const before = await credentials(api.client);
        const known = refreshes();
        const after = await credentials(api.client, true);
        expect(after.access_token).not.toBe(before.access_token);
        expect(after.refresh_token).not.toBe(before.refresh_token);
        expect(refreshes()).toBe(known + 1);
        // fresh for an hour: reads no longer renew
        expect((await credentials(api.client)).access_token).toBe(after.access_token);
        expect(refreshes()).toBe(known + 1);
    });

    test('third renewal: by the background worker of another process, before anybody reads', async () => {
        const worker = await startValetkey({ ...options, port: await freePort(), env: { VALETKEY_ROLES: 'worker', VALETKEY_PUBLIC_URL: api.url } });
        let before: Awaited<ReturnType<typeof credentials>>;
        let known: number;
        try {
            server.setAccessTokenTtl(shortLife);
            before = await credentials(api.client, true);
            server.setAccessTokenTtl(3600);
            known = refreshes();
            await eventually(() => expect(refreshes()).toBe(known + 1));
            expect(server.tokenRequests.at(-1)!.at).toBeLessThan(Date.parse(before.expires_at));
            await eventually(async () => {
                const { rows } = await sql.query<{ credentials_version: string }>('select credentials_version from connections');
                expect(Number(rows[0]?.credentials_version)).toBe(1 + refreshes());
            });
            // the worker delivers what the API process put into the outbox
            await eventually(() => expect(receiver.deliveries).toHaveLength(1));
        } finally {
            await worker.stop();
        }
        const after = await credentials(api.client);
        expect(after.access_token).not.toBe(before.access_token);
        expect(refreshes()).toBe(known + 1);
    });

    test('the creation webhook verifies with the official client and has the contract’s body', async () => {
        const signing = await api.call<{ data: { webhook_signing_key: string } }>('GET', '/environment/webhook-signing-key');
        const client = new Nango({ apiKey: options.apiKey, host: api.url, webhookSigningKey: signing.body.data.webhook_signing_key });
        const [delivery] = receiver.deliveries;
        expect(client.verifyIncomingWebhookRequest(delivery!.body.toString(), delivery!.headers)).toBe(true);
        expect(webhooks()).toEqual([
            {
                from: 'nango',
                type: 'auth',
                connectionId,
                providerConfigKey: 'oidc',
                authMode: 'OAUTH2',
                provider: 'oidc-test',
                environment: 'dev',
                operation: 'creation',
                success: true,
                tags: { end_user_id: 'user-1', end_user_email: 'user@example.com', end_user_display_name: 'User One', organization_id: 'org-1' },
                endUser: { endUserId: 'user-1', endUserEmail: 'user@example.com', organizationId: 'org-1', tags: {} },
            },
        ]);
    });

    test('revoked at the server: needs_reauth after one confirming retry, exactly one webhook, no further calls', async () => {
        const { refresh_token } = await credentials(api.client);
        await server.revokeGrant(refresh_token!);
        const calls = refreshes();
        const failed = await api.call<{ error: { code: string; payload: { type: string; connection: Record<string, unknown> } } }>(
            'GET',
            `/connections/${connectionId}?provider_config_key=oidc&force_refresh=true`,
        );
        expect(failed.status).toBe(400);
        expect(failed.body.error).toMatchObject({
            code: 'invalid_credentials',
            payload: { connection: { connection_id: connectionId, credentials: {} } },
        });
        // the newest twice, then once the generation before it
        expect(refreshes() - calls).toBe(3);
        const { rows } = await sql.query('select auth_state, next_refresh_at, refresh_intent, refresh_lease_owner from connections');
        expect(rows).toEqual([{ auth_state: 'needs_reauth', next_refresh_at: null, refresh_intent: null, refresh_lease_owner: null }]);

        const worker = await startValetkey({ ...options, port: await freePort(), env: { VALETKEY_ROLES: 'worker', VALETKEY_PUBLIC_URL: api.url } });
        await eventually(() => expect(receiver.deliveries).toHaveLength(2));
        await new Promise((resolve) => setTimeout(resolve, 1500));
        await worker.stop();
        expect(webhooks().slice(1)).toMatchObject([
            { operation: 'refresh', success: false, connectionId, error: { type: 'refresh_token_external_error' } },
        ]);
        expect(refreshes() - calls).toBe(3);

        // the access token has life left, so it is still handed out, with the problem named (R4)
        const connection = await api.client.getConnection('oidc', connectionId);
        expect(connection.errors).toMatchObject([{ type: 'auth' }]);
        expect(connection.credentials).toHaveProperty('access_token');
    });

    test('the user reconnects: the same connection, as an override, healthy again', async () => {
        await api.call('PATCH', '/environment/webhooks', { primary_url: receiver.url });
        const session = await api.client.createReconnectSession({ connection_id: connectionId, integration_id: 'oidc' });
        const answer = await connectThrough(server, api.url, 'oidc', session.data.token);
        expect(answer.status, answer.html).toBe(200);
        const { connections } = await api.client.listConnections();
        expect(connections.map((connection) => [connection.connection_id, connection.errors])).toEqual([[connectionId, []]]);
        // nothing was said about tags and end user, so they are kept
        expect(connections[0]).toMatchObject({ end_user: { id: 'user-1' }, tags: { organization_id: 'org-1' } });
        const { rows } = await sql.query(`select operation from webhook_events order by created_at`);
        expect(rows.map((row: { operation: string }) => row.operation)).toEqual(['creation', 'refresh', 'override']);
        await credentials(api.client, true);
    });

    test('the backend notes what it likes, and says anew whose the connection is', async () => {
        await api.client.setMetadata('oidc', connectionId, { plan: 'pro', seats: 3 });
        const { status } = await api.client.updateMetadata('oidc', [connectionId], { seats: 4 });
        expect([status, await api.client.getMetadata('oidc', connectionId)]).toEqual([200, { plan: 'pro', seats: 4 }]);
        const target = { connectionId, provider_config_key: 'oidc' };
        expect(await api.client.patchConnection(target, { end_user: { id: 'user-2' } })).toEqual({ success: true });
        const { connections } = await api.client.listConnections({ userId: 'user-2' });
        expect(connections).toMatchObject([{ connection_id: connectionId, tags: { end_user_id: 'user-2' }, metadata: { plan: 'pro', seats: 4 } }]);
    });

    test('the backend deletes the connection: nothing sealed remains, and a second deletion says so', async () => {
        await api.client.deleteConnection('oidc', connectionId);
        const { rows } = await sql.query('select sealed_credentials, sealed_previous_refresh_token, sealed_secrets from connections');
        expect(rows).toEqual([{ sealed_credentials: '', sealed_previous_refresh_token: null, sealed_secrets: null }]);
        const again = await api.call('DELETE', `/connections/${connectionId}?provider_config_key=oidc`);
        expect([again.status, again.body]).toEqual([400, { error: { code: 'unknown_connection', message: expect.any(String) as string } }]);
        await expect(api.client.getConnection('oidc', connectionId)).rejects.toMatchObject({ response: { status: 404 } });
    });
});
