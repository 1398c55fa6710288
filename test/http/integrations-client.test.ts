/** The official backend client sets integrations up (http-api §14.1). */
import { Nango } from '@nangohq/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from './app.ts';
import { credentialsOf, everyMode } from './every-mode.ts';

let valetkey: TestApp;
let client: Nango;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: everyMode() });
    await valetkey.listen();
    client = new Nango({ host: valetkey.url, secretKey: valetkey.key });
});

afterAll(() => valetkey?.close());

test('creates, lists, reads, changes and deletes them', async () => {
    const created = await client.createIntegration({ provider: 'oauth', unique_key: 'my app', credentials: credentialsOf.oauth });
    expect(created.data).toMatchObject({ unique_key: 'my app', provider: 'oauth', display_name: 'Test oauth' });
    const { configs } = await client.listIntegrations();
    expect(configs.map((integration) => integration.unique_key)).toEqual(['my app']);

    // It sends the last of them only.
    const read = await client.getIntegration({ uniqueKey: 'my app' }, { include: ['webhook', 'credentials'] });
    expect(read.data).toMatchObject({ unique_key: 'my app', credentials: { ...credentialsOf.oauth, scopes: null, webhook_secret: null } });
    expect(read.data).not.toHaveProperty('webhook_url');

    const updated = await client.updateIntegration({ uniqueKey: 'my app' }, { unique_key: 'renamed', display_name: 'Renamed' });
    expect(updated.data).toMatchObject({ unique_key: 'renamed', display_name: 'Renamed' });
    const deleted = await client.deleteIntegration('renamed');
    expect([deleted.status, deleted.data]).toEqual([200, { success: true }]);
    await expect(client.getIntegration({ uniqueKey: 'renamed' })).rejects.toMatchObject({
        response: { status: 404, data: { error: { code: 'not_found' } } },
    });
});

test('is told that there are no shared apps', async () => {
    await expect(client.createQuickstartIntegration({ provider: 'oauth', unique_key: 'quick' })).rejects.toMatchObject({
        response: { status: 400, data: { error: { code: 'invalid_body' } } },
    });
});

test('finds providers', async () => {
    expect((await client.listProviders({ search: 'TEST SET' })).data.map((provider) => provider.name)).toEqual(['set-up']);
    expect((await client.getProvider({ provider: 'set-up' })).data).toMatchObject({ name: 'set-up', auth_mode: 'API_KEY' });
});
