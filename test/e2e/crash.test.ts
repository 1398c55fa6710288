/** kill -9 at the moments that matter: nothing that was journalled is lost, and a webhook keeps its id (R2, W1, W3). */
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FaultStep } from '../../src/app.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../peers/authorization-server.ts';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { oauth2Entry, providersFile } from './provider-entries.ts';
import { connectThrough } from './user.ts';
import { eventually, newEncryptionKey, newTestApiKey, startValetkey, type Valetkey, type ValetkeyOptions } from './valetkey.ts';

describe('kill -9', () => {
    let server: AuthorizationServer;
    let receiver: WebhookReceiver;
    let database: Awaited<ReturnType<typeof createDatabase>>;
    let sql: pg.Client;
    let options: ValetkeyOptions;
    const started: Valetkey[] = [];

    const start = async (dieAt?: FaultStep, env: Record<string, string> = {}): Promise<Valetkey> => {
        const valetkey = await startValetkey({
            ...options,
            ...(dieAt ? { entry: 'test/e2e/valetkey-with-faults.ts' } : {}),
            env: { ...env, ...(dieAt ? { TEST_DIE_AT: dieAt } : {}) },
        });
        started.push(valetkey);
        return valetkey;
    };
    const connect = async (valetkey: Valetkey): Promise<string> => {
        const session = await valetkey.client.createConnectSession({ end_user: { id: 'user-1' } });
        const answer = await connectThrough(server, valetkey.url, 'oidc', session.data.token);
        expect(answer.status, answer.html).toBe(200);
        const { connections } = await valetkey.client.listConnections();
        return connections[0]!.connection_id;
    };
    const forceRefresh = (valetkey: Valetkey, id: string) =>
        valetkey.call('GET', `/connections/${id}?provider_config_key=oidc&force_refresh=true&refresh_token=true`);
    const refreshes = (): number => server.tokenRequests.filter((request) => request.grantType === 'refresh_token').length;

    beforeEach(async () => {
        const port = await freePort();
        server = await startAuthorizationServer({ redirectUris: [`http://127.0.0.1:${port}/oauth/callback`] });
        receiver = await startWebhookReceiver();
        database = await createDatabase();
        sql = new pg.Client({ connectionString: database.url });
        await sql.connect();
        options = {
            port,
            databaseUrl: database.url,
            encryptionKey: newEncryptionKey(),
            apiKey: newTestApiKey(),
            providers: providersFile(oauth2Entry('oidc-test', server)),
        };
        const valetkey = await start(undefined, { VALETKEY_ROLES: 'api' });
        await valetkey.client.createIntegration({
            provider: 'oidc-test',
            unique_key: 'oidc',
            credentials: { type: 'OAUTH2', client_id: server.clientId, client_secret: server.clientSecret, scopes: 'openid,offline_access' },
        });
        await valetkey.call('PATCH', '/environment/webhooks', { primary_url: receiver.url });
    });

    afterEach(async () => {
        await Promise.all(started.splice(0).map((valetkey) => valetkey.stop('SIGKILL')));
        await sql.end();
        await Promise.all([server.close(), receiver.close()]);
        await database.drop();
    });

    test('after the answer was journalled, before it was applied: applied at the next start, without another token call', async () => {
        const id = await connect(started[0]!);
        await started[0]!.stop();
        const dying = await start('journalled', { VALETKEY_ROLES: 'api' });
        await expect(forceRefresh(dying, id)).rejects.toThrow();
        expect((await dying.exited).signal).toBe('SIGKILL');
        const stored = await sql.query('select credentials_version, refresh_intent is not null as has_intent from connections');
        expect(stored.rows).toEqual([{ credentials_version: '1', has_intent: true }]);
        const calls = refreshes();

        const next = await start();
        await eventually(async () => {
            const { rows } = await sql.query('select credentials_version, auth_state, refresh_intent from connections');
            expect(rows).toEqual([{ credentials_version: '2', auth_state: 'ok', refresh_intent: null }]);
        }, 5_000);
        const { rows } = await sql.query('select outcome from credential_journal');
        expect(rows).toEqual([{ outcome: 'applied' }]);
        expect(refreshes()).toBe(calls);
        // the grant is alive: the journalled refresh token is the newest generation
        const after = await forceRefresh(next, id);
        expect(after.status).toBe(200);
    });

    test('after the answer, before it was journalled: the one window no client can close ends in needs_reauth and one webhook', async () => {
        const id = await connect(started[0]!);
        await started[0]!.stop();
        const dying = await start('answered', { VALETKEY_ROLES: 'api' });
        await expect(forceRefresh(dying, id)).rejects.toThrow();
        await dying.exited;
        // as if the rest after a holder that vanished had passed
        await sql.query(`update connections set refresh_lease_until = now() - interval '1 minute', next_refresh_at = now()`);

        await start();
        await eventually(async () => {
            const { rows } = await sql.query('select auth_state from connections');
            expect(rows).toEqual([{ auth_state: 'needs_reauth' }]);
        }, 10_000);
        await eventually(() =>
            expect(receiver.deliveries.map((delivery) => (JSON.parse(delivery.body.toString()) as { operation: string }).operation)).toEqual([
                'creation',
                'refresh',
            ]),
        );
    });

    test('between the provider’s answer and the commit of a new connection: nothing half-written, and the user can start again', async () => {
        await started[0]!.stop();
        const dying = await start('connect-answered');
        const session = await dying.client.createConnectSession({ end_user: { id: 'user-1' } });
        await expect(connectThrough(server, dying.url, 'oidc', session.data.token)).rejects.toThrow();
        await dying.exited;
        expect((await sql.query('select 1 from connections')).rowCount).toBe(0);
        expect((await sql.query('select 1 from webhook_events')).rowCount).toBe(0);

        const next = await start();
        const answer = await connectThrough(server, next.url, 'oidc', session.data.token);
        expect(answer.status).toBe(200);
    });

    test('between commit and webhook send: after the restart the webhook arrives with the id it was committed with', async () => {
        await started[0]!.stop();
        const dying = await start('webhook-sending');
        const session = await dying.client.createConnectSession({ end_user: { id: 'user-1' } });
        await connectThrough(server, dying.url, 'oidc', session.data.token).catch(() => {});
        expect((await dying.exited).signal).toBe('SIGKILL');
        const { rows } = await sql.query<{ id: string }>('select id from webhook_events');
        expect(rows).toHaveLength(1);
        expect(receiver.deliveries).toHaveLength(0);
        // as if the dead process's lease had run out
        await sql.query(`update webhook_deliveries set lease_until = now() - interval '1 second'`);

        await start();
        await eventually(() => expect(receiver.deliveries).toHaveLength(1));
        expect(receiver.deliveries[0]!.headers['webhook-id']).toBe(rows[0]!.id);
        expect(rows[0]!.id).toMatch(/^msg_[0-9A-HJKMNP-TV-Z]{26}$/);
        await eventually(async () => expect((await sql.query('select state from webhook_deliveries')).rows).toEqual([{ state: 'delivered' }]));
    });

    test('between send and acknowledgement: it arrives once more, with the same id, bytes and number', async () => {
        await started[0]!.stop();
        const dying = await start('webhook-sent');
        const session = await dying.client.createConnectSession({ end_user: { id: 'user-1' } });
        await connectThrough(server, dying.url, 'oidc', session.data.token).catch(() => {});
        expect((await dying.exited).signal).toBe('SIGKILL');
        expect(receiver.deliveries).toHaveLength(1);
        expect((await sql.query('select state, attempts from webhook_deliveries')).rows).toEqual([{ state: 'pending', attempts: 0 }]);
        await sql.query(`update webhook_deliveries set lease_until = now() - interval '1 second'`);

        await start();
        await eventually(() => expect(receiver.deliveries).toHaveLength(2));
        const [first, again] = receiver.deliveries;
        expect(again!.body).toEqual(first!.body);
        const same = ['webhook-id', 'x-valetkey-sequence', 'x-valetkey-created-at', 'x-nango-hmac-sha256'];
        expect(same.map((name) => again!.headers[name])).toEqual(same.map((name) => first!.headers[name]));
        expect(first!.headers['x-valetkey-sequence']).toBe('1');
        await eventually(async () =>
            expect((await sql.query('select state, attempts from webhook_deliveries')).rows).toEqual([{ state: 'delivered', attempts: 1 }]),
        );
    });
});
