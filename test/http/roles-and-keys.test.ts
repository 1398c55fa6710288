/** What a process answers by its roles, and which keys open an environment from start to start. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { startupSummary } from '../../src/startup-summary.ts';
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

/** A deployment of its own, and further starts on it. */
async function deployment(env: Record<string, string> = {}): Promise<{ first: TestApp; again(env?: Record<string, string>): Promise<TestApp> }> {
    const own = await startTestApp({ env });
    const { database, encryptionKeys } = own.config;
    const fixed = { DATABASE_URL: (database as { url: string }).url, VALETKEY_ENCRYPTION_KEY: encryptionKeys![0]!.key.toString('base64') };
    const keys = { VALETKEY_SECRET_KEY_DEV: own.key, VALETKEY_SECRET_KEY_PROD: own.prodKey };
    return { first: own, again: (other = {}) => startTestApp({ env: { ...fixed, ...keys, ...other } }) };
}
const environmentsWith = async (valetkey: TestApp, key: string): Promise<number> => (await valetkey.call('GET', '/environments', { key })).status;

test('the account gets a key at the first start, shown once, and again only when there is none', async () => {
    const { first: start, again } = await deployment({ VALETKEY_SECRET_KEY_DEV: '', VALETKEY_SECRET_KEY_PROD: '' });
    expect([...start.app.newApiKeys.keys()]).toEqual(['dev', 'prod', 'account']);
    const key = start.app.newApiKeys.get('account')!;
    expect(startupSummary(start.config, start.app)).toMatch(new RegExp(`API key \\(account\\) +${key}\\n`));
    expect(await environmentsWith(start, key)).toBe(200);

    const second = await again();
    expect([...second.app.newApiKeys.keys()]).toEqual([]);
    // as in a database from before there were any
    await second.query(`delete from api_keys where environment_id is null`);
    await second.close();
    const replicas = await Promise.all([again(), again(), again()]);
    const made = replicas.flatMap(({ app }) => [...app.newApiKeys]);
    expect(made.map(([name]) => name)).toEqual(['account']);
    expect(await environmentsWith(start, made[0]![1])).toBe(200);
    await Promise.all(replicas.map((replica) => replica.close()));
    await start.close();
});

test('VALETKEY_ACCOUNT_KEY fixes the key of the account, as long as it is set', async () => {
    const fixed = 'the-account-key-of-the-operator-1234567890';
    const { first: start, again } = await deployment({ VALETKEY_ACCOUNT_KEY: fixed });
    expect([...start.app.newApiKeys.keys()]).toEqual([]);
    expect(await environmentsWith(start, fixed)).toBe(200);
    const listed = await start.call<{ data: { id: number }[] }>('GET', '/account/api-keys', { key: fixed });
    expect(listed.body).toMatchObject({ data: [{ origin: 'configured', display_name: 'VALETKEY_ACCOUNT_KEY', scopes: ['account:*'] }] });
    const deletion = await start.call('DELETE', `/account/api-keys/${listed.body.data[0]!.id}`, { key: fixed });
    expect(deletion).toMatchObject({ status: 409, body: { error: { code: 'managed_by_configuration' } } });

    const without = await again();
    expect([...without.app.newApiKeys.keys()]).toEqual(['account']);
    expect(await environmentsWith(without, fixed)).toBe(401);
    await without.close();
    await start.close();
});

test('a fixed key that opens something else already is refused, and a fixed key that changes places moves', async () => {
    const { first: start, again } = await deployment();
    await expect(again({ VALETKEY_ACCOUNT_KEY: start.key })).rejects.toThrow(/VALETKEY_ACCOUNT_KEY is a key of the environment dev already/);
    await expect(again({ VALETKEY_SECRET_KEY_DEV: start.prodKey })).rejects.toThrow(
        /VALETKEY_SECRET_KEY_\w+ is a key of the environment \w+ already/,
    );
    const swapped = await again({ VALETKEY_SECRET_KEY_DEV: start.prodKey, VALETKEY_SECRET_KEY_PROD: start.key });
    expect((await swapped.call('GET', '/environment', { key: start.key })).body).toMatchObject({ data: { name: 'prod' } });
    expect((await swapped.call('GET', '/environment', { key: start.prodKey })).body).toMatchObject({ data: { name: 'dev' } });
    await swapped.close();
    await start.close();
});

test('dev stays deleted', async () => {
    const { first: start, again } = await deployment({ VALETKEY_SECRET_KEY_DEV: '' });
    const account = start.app.newApiKeys.get('account')!;
    const { id } = (await start.call<{ data: { id: number } }>('GET', '/environment', { key: start.app.newApiKeys.get('dev')! })).body.data;
    expect((await start.call('DELETE', `/environments/${id}`, { key: account })).status).toBe(204);
    const second = await again({ VALETKEY_SECRET_KEY_DEV: '' });
    expect([...second.app.newApiKeys.keys()]).toEqual([]);
    expect((await second.call('GET', '/environments', { key: account })).body).toMatchObject({ data: [{ name: 'prod' }] });
    await second.close();
    await start.close();
});
