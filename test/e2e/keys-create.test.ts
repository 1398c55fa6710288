/** `valetkey keys create`: a way back for the operator who lost every key. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../peers/free-port.ts';
import { createDatabase } from '../peers/postgres.ts';
import { newEncryptionKey, newTestApiKey, spawnValetkey, startValetkey, watch, type Valetkey } from './valetkey.ts';

let database: Awaited<ReturnType<typeof createDatabase>>;
let valetkey: Valetkey;
const encryptionKey = newEncryptionKey();

beforeAll(async () => {
    database = await createDatabase();
    valetkey = await startValetkey({ port: await freePort(), databaseUrl: database.url, encryptionKey, apiKey: newTestApiKey() });
});

afterAll(async () => {
    await valetkey?.stop();
    await database?.drop();
});

async function create(...target: string[]): Promise<{ code: number | null; output: string }> {
    const child = spawnValetkey('src/main.ts', { DATABASE_URL: database.url, VALETKEY_ENCRYPTION_KEY: encryptionKey }, ['keys', 'create', ...target]);
    const { exited, output } = watch(child);
    return { code: (await exited).code, output: output() };
}
const status = async (path: string, key: string): Promise<number> =>
    (await fetch(valetkey.url + path, { headers: { authorization: `Bearer ${key}` } })).status;

test('makes a key with full access beside the running server, and prints nothing else', async () => {
    for (const [target, path] of [
        ['prod', '/environment'],
        ['account', '/account/api-keys'],
    ] as const) {
        const { code, output } = await create(target);
        expect([code, output]).toEqual([0, expect.stringMatching(new RegExp(`^vk_${target}_[0-9A-Za-z]{39}\n$`))]);
        expect(await status(path, output.trim())).toBe(200);
    }
});

test('says which environments there are, and how it is used', async () => {
    const unknown = await create('staging');
    expect([unknown.code, unknown.output]).toEqual([1, 'There is no environment "staging"; there are: dev, prod, account.\n']);
    for (const words of [[], ['dev', 'prod']]) {
        expect(await create(...words)).toMatchObject({ code: 2, output: expect.stringContaining('keys create <environment>|account') as string });
    }
});
