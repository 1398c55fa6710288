/** What a process answers by its roles, and which keys open an environment from start to start. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { startTestApp, type TestApp } from './app.ts';

let first: TestApp;

beforeAll(async () => {
    first = await startTestApp();
});

afterAll(() => first?.close());

/** Another start on the same database. */
const startAgain = (env: Record<string, string>): Promise<TestApp> => {
    const { database, encryptionKeys } = first.config;
    return startTestApp({
        env: {
            DATABASE_URL: (database as { url: string }).url,
            VALETKEY_ENCRYPTION_KEY: encryptionKeys![0]!.key.toString('base64'),
            VALETKEY_SECRET_KEY_DEV: first.key,
            VALETKEY_SECRET_KEY_PROD: first.prodKey,
            ...env,
        },
    });
};

test('a worker answers probes and nothing else', async () => {
    const worker = await startAgain({ VALETKEY_ROLES: 'worker' });
    await worker.listen();
    for (const path of ['/health', '/ready', '/']) {
        expect([path, (await worker.call('GET', path)).status]).toEqual([path, 200]);
    }
    for (const path of ['/connections', '/providers', '/oauth/callback?state=x', '/environment']) {
        expect([path, (await worker.call('GET', path, { key: first.key })).status]).toEqual([path, 404]);
    }
    const opened = await new Promise<boolean>((resolve) => {
        const socket = new WebSocket(worker.url.replace('http', 'ws'));
        socket.on('open', () => resolve(true));
        socket.on('error', () => resolve(false));
    });
    expect(opened).toBe(false);
    await worker.close();
});

test('a key that is no longer configured stops working, and its environment gets another, shown once', async () => {
    const again = await startAgain({ VALETKEY_SECRET_KEY_DEV: '' });
    expect([...again.app.newApiKeys.keys()]).toEqual(['dev']);
    const made = again.app.newApiKeys.get('dev')!;
    expect(made).toMatch(/^vk_dev_[0-9A-Za-z]{39}$/);
    expect((await again.call('GET', '/environment', { key: made })).body).toMatchObject({ data: { name: 'dev' } });
    expect((await again.call('GET', '/environment', { key: first.key })).status).toBe(401);
    expect((await again.call('GET', '/environment', { key: first.prodKey })).body).toMatchObject({ data: { name: 'prod' } });
    await again.close();

    const third = await startAgain({});
    expect([...third.app.newApiKeys.keys()]).toEqual([]);
    for (const key of [made, first.key]) {
        expect((await third.call('GET', '/environment', { key })).body).toMatchObject({ data: { name: 'dev' } });
    }
    await third.close();
});
