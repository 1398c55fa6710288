/** Webhooks in the operation log over HTTP, with real receivers: what is said of them, and what never is (§9 no. 26). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemSources } from '../../src/sources.ts';
import { enqueueAuthEvent } from '../../src/webhooks/auth-events.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { startTestApp, type TestApp } from './app.ts';

interface Message {
    level: string;
    type: string;
    context: string;
    request: { method: string; url: string; headers: Record<string, string> };
    response: { code: number; headers: Record<string, string> } | null;
    retry: { attempt: number; max: number };
    durationMs: number;
}
interface Operation {
    id: string;
    state: string;
    connectionName: string;
    meta: { event_id: string };
}

let valetkey: TestApp;
let receiver: WebhookReceiver;

beforeAll(async () => {
    valetkey = await startTestApp();
    valetkey.app.startWork();
    receiver = await startWebhookReceiver();
});
afterAll(async () => {
    await valetkey.close();
    await receiver.close();
});

test('an event’s way to its receiver is told, and no secret of the URL, the keys or the answers', async () => {
    const url = `${receiver.url}in?token=canary-token`;
    const shownUrl = `${receiver.url}in?token=REDACTED`;
    expect(await valetkey.call('PATCH', '/environment/webhooks', { body: { primary_url: url } })).toMatchObject({ status: 200 });
    const [environment] = await valetkey.query<{ id: string }>(`select id from environments where name = 'dev'`);
    receiver.answer(503);
    const eventId = await enqueueAuthEvent(valetkey.app.database.db, systemSources, {
        environment: { id: environment!.id, name: 'dev' },
        connectionId: 'c-1',
        providerConfigKey: 'github',
        provider: 'github',
        authMode: 'OAUTH2',
        operation: 'refresh',
        error: { type: 'refresh_token_external_error', description: 'canary-description' },
        urlOverride: null,
    });

    const read = async (): Promise<Operation | undefined> =>
        (await valetkey.call<{ data: Operation[] }>('GET', '/logs/operations?types=webhook:connection_refresh')).body.data[0];
    const stateIs = async (state: string): Promise<void> => {
        await expect.poll(async () => (await read())?.state, { timeout: 10_000 }).toBe(state);
    };
    await stateIs('running');
    valetkey.advance(7_000);
    await stateIs('success');
    const operation = (await read())!;
    expect(operation).toMatchObject({ connectionName: 'c-1', meta: { event_id: eventId } });
    const { body } = await valetkey.call<{ data: Message[] }>('GET', `/logs/operations/${operation.id}/messages`);
    const request = { method: 'POST', url: shownUrl, headers: { 'content-type': 'application/json', 'webhook-id': eventId } };
    expect(body.data).toMatchObject([
        { level: 'error', type: 'http', context: 'webhook', request, response: { code: 503 }, retry: { attempt: 1, max: 10 } },
        { level: 'info', type: 'http', context: 'webhook', request, response: { code: 200 }, retry: { attempt: 2, max: 10 } },
    ]);

    const { body: key } = await valetkey.call<{ data: Record<string, string> }>('GET', '/environment/webhook-signing-key');
    const secrets = Object.values(key.data).filter((value) => value.startsWith('whsec_'));
    expect(secrets).not.toEqual([]);
    const signatures = receiver.deliveries.flatMap(({ headers }) =>
        ['webhook-signature', 'x-nango-signature', 'x-nango-hmac-sha256'].map((name) => String(headers[name])),
    );
    expect(signatures.every((text) => text.length > 40)).toBe(true);
    const stored = await valetkey.query(`select row_to_json(o) as row from operations o union all select row_to_json(m) from operation_messages m`);
    const everything = JSON.stringify([operation, body, stored]);
    expect(['canary-', ...secrets, ...signatures].filter((secret) => everything.includes(secret))).toEqual([]);
});
