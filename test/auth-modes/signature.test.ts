/** WSSE tokens (auth-modes §11.1): the vector of §20.1, and what must not get into a header. */
import { expect, test } from 'vitest';
import type { DirectInput } from '../../src/auth-modes/auth-mode.ts';
import { signature, wsseToken } from '../../src/auth-modes/signature.ts';
import { makeProvider } from '../providers/make-provider.ts';
import { virtualSources } from '../virtual-sources.ts';

const created = '2024-01-02T03:04:05.678Z';
const sources = { ...virtualSources(Date.parse(created)), random: () => Buffer.from('d36e316282959a9ed4c89851497a717f', 'hex') };

test('the vector', () => {
    expect(wsseToken({ username: 'customer001', password: 'secret' }, sources)).toBe(
        'UsernameToken Username="customer001", PasswordDigest="MjQzMjdhNmRlNWJiMmE5YWZkZDk0OGJmYmY0ODdkNWE1MWE1MGYxNA==", ' +
            `Nonce="d36e316282959a9ed4c89851497a717f", Created="${created}"`,
    );
});

const input = (username: string, entry = {}): DirectInput =>
    ({
        provider: makeProvider({ auth_mode: 'SIGNATURE', signature: { protocol: 'WSSE' }, token: { expires_in_ms: 300_000 }, ...entry }),
        connectionConfig: {},
        sources,
        submitted: { username, password: 'secret', type: 'SIGNATURE' },
    }) as unknown as DirectInput;

test('credentials show when the token ends; the connection itself does not', async () => {
    const { credentials, expiresAt } = await signature.direct!.create(input('ann'));
    expect([credentials, expiresAt]).toMatchObject([{ type: 'SIGNATURE', username: 'ann', expires_at: '2024-01-02T03:09:05.678Z' }, null]);
});

test.each(['a"b', 'a\\b', 'a\r\nb'])('a user name that would break out of its quotes: %j', async (username) => {
    await expect(signature.direct!.create(input(username))).rejects.toMatchObject({ type: 'invalid_credentials' });
});

test('an entry that does not say how to sign', async () => {
    await expect(signature.direct!.create(input('ann', { signature: { protocol: 'HMAC' } }))).rejects.toMatchObject({
        type: 'missing_signature_type',
    });
    await expect(signature.direct!.create(input('ann', { token: undefined }))).rejects.toMatchObject({ type: 'missing_token_body' });
});
