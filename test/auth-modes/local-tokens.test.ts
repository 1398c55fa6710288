/** Tokens signed here are made when somebody needs one, and kept while they are good (R8). */
import { expect, test } from 'vitest';
import { LocalTokens, type StoredConnection } from '../../src/auth-modes/local-tokens.ts';
import type { Credentials, SignatureCredentials } from '../../src/credentials/credential.ts';
import type { Catalogue } from '../../src/providers/catalogue.ts';
import { makeProvider } from '../providers/make-provider.ts';
import { virtualSources } from '../virtual-sources.ts';

const provider = makeProvider({ auth_mode: 'SIGNATURE', signature: { protocol: 'WSSE' }, token: { expires_in_ms: 300_000 } });
const catalogue = { get: (name: string) => (name === 'wsse' ? provider : undefined) } as unknown as Catalogue;
const stored = {
    credentials: { type: 'SIGNATURE', username: 'ann', password: 'pw', token: 'old', expires_at: '' } as Credentials,
    connectionConfig: {},
};

function tokens() {
    const sources = virtualSources();
    const local = new LocalTokens({ catalogue, sources });
    const present = async (row: Partial<StoredConnection> = {}, force = false): Promise<string> => {
        const all = { id: '1', provider: 'wsse', sealed_credentials: 'v1', ...row };
        return ((await local.present(all, stored, { force })) as SignatureCredentials).token;
    };
    return { sources, local, present };
}

test('a token is kept until its margin begins', async () => {
    const { sources, present } = tokens();
    const first = await present();
    // A quarter of five minutes is the margin.
    await sources.advance(224_999);
    expect(await present()).toBe(first);
    await sources.advance(1);
    expect(await present()).not.toBe(first);
});

test('another connection, other credentials and a forced read have another token', async () => {
    const { present } = tokens();
    const all = [await present(), await present({ id: '2' }), await present({ sealed_credentials: 'v2' }), await present({}, true)];
    expect(new Set(all).size).toBe(4);
});

test('a thousand are kept, those that were used last', async () => {
    const { present } = tokens();
    const [first, second] = [await present({ id: 'a' }), await present({ id: 'b' })];
    for (let other = 0; other < 998; other += 1) await present({ id: String(other) });
    expect(await present({ id: 'a' })).toBe(first);
    await present({ id: 'one more' });
    expect([await present({ id: 'a' }), (await present({ id: 'b' })) === second]).toEqual([first, false]);
});

test('a provider that is gone', async () => {
    const { local, present } = tokens();
    await expect(present({ provider: 'gone' })).rejects.toMatchObject({ name: 'ConnectFailure', type: 'unknown_provider_template' });
    expect([local.areOf('wsse'), local.areOf('gone')]).toEqual([true, false]);
});
