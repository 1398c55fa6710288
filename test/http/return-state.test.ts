/** §7.12: what a customer's backend learns from the address that a connect link returns to, verified as docs/security.md has it. */
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { connectKey, createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';
import { readSession } from './sessions.ts';

const returnUrl = 'https://app.example.com/done?state=mine';
const root = join(import.meta.dirname, '../..');

interface Expectation {
    returnUrl: string;
    publicUrl: string;
    publicKey: string;
}
type Returned = (address: string, expected: Expectation) => Promise<Record<string, unknown>>;

let valetkey: TestApp;
let directory: string;
let returned: Returned;
let expected: Expectation;
beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
    await valetkey.query(`update environment_settings set allowed_return_urls = '{https://app.example.com}'`);
    const { body } = await valetkey.call<{ data: { webhook_public_key: string } }>('GET', '/environment/webhook-signing-key');
    expected = { returnUrl, publicUrl: valetkey.url, publicKey: body.data.webhook_public_key };

    const [, snippet] = /```js\n(import \{ createPublicKey[^]*?)```/.exec(await readFile(join(root, 'docs/security.md'), 'utf8'))!;
    directory = await mkdtemp(join(tmpdir(), 'valetkey-snippet-'));
    await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
    await writeFile(join(directory, 'returned.mjs'), snippet!);
    ({ returned } = (await import(pathToFileURL(join(directory, 'returned.mjs')).href)) as { returned: Returned });
});
afterAll(async () => {
    await valetkey?.close();
    await rm(directory, { recursive: true, force: true });
});

test('nothing before anything is connected; then the outcome, signed for this address', async () => {
    const token = await createSession(valetkey, { end_user: { id: 'u1' }, return_url: returnUrl });
    expect(await readSession(valetkey, token)).not.toHaveProperty('return_to');
    const id = await connectKey(valetkey, 'keys', token);
    const { return_to: address } = (await readSession(valetkey, token)) as { return_to: string };
    const { searchParams } = new URL(address);
    expect(Object.fromEntries(searchParams)).toMatchObject({ state: 'mine', status: 'success', connection_id: id, provider_config_key: 'keys' });
    expect(await returned(address, expected)).toMatchObject({ status: 'success', connection_id: id, provider_config_key: 'keys', end_user_id: 'u1' });
});

test('it is believed for this address, by this environment, as it is, and not for long', async () => {
    const token = await createSession(valetkey, { tags: {}, return_url: returnUrl });
    await connectKey(valetkey, 'keys', token);
    const { return_to: address } = (await readSession(valetkey, token)) as { return_to: string };
    const { exp, iat, end_user_id: endUser } = await returned(address, expected);
    expect([Number(exp) - Number(iat), endUser]).toEqual([300, null]);
    await expect(returned(address, { ...expected, returnUrl: 'https://app.example.com/other' })).rejects.toThrow(/aud/);
    await expect(returned(address, { ...expected, publicUrl: 'https://another.example.com' })).rejects.toThrow(/iss/);
    const other = await valetkey.call<{ data: { webhook_public_key: string } }>('GET', '/environment/webhook-signing-key', { key: valetkey.prodKey });
    await expect(returned(address, { ...expected, publicKey: other.body.data.webhook_public_key })).rejects.toThrow(/signature/);
    const changed = new URL(address);
    const [header, payload, signature] = changed.searchParams.get('valetkey_state')!.split('.') as [string, string, string];
    const claims = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), connection_id: 'another' };
    changed.searchParams.set('valetkey_state', [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.'));
    await expect(returned(changed.href, expected)).rejects.toThrow(/signature/);
});

test('a session without a return_url has nowhere to go', async () => {
    const token = await createSession(valetkey);
    await connectKey(valetkey, 'keys', token);
    expect(await readSession(valetkey, token)).not.toHaveProperty('return_to');
});
