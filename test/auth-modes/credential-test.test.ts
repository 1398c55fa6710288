/** Proving credentials at the provider: the first 2xx counts, and silence is no refusal (A3). */
import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { ModeContext } from '../../src/auth-modes/auth-mode.ts';
import { testCredentials } from '../../src/auth-modes/credential-test.ts';
import type { Credentials } from '../../src/credentials/credential.ts';
import type { ProviderEntry } from '../../src/providers/provider.ts';
import { systemSources } from '../../src/sources.ts';
import { loopbackEgress, onCleanup } from '../egress/servers.ts';
import { makeProvider } from '../providers/make-provider.ts';
import { noClients } from './no-clients.ts';

/** A provider whose endpoints answer what their path says; `/0` hangs up, `/huge` does not stop talking. */
async function account(endpoints: string[], entry: Partial<ProviderEntry> = {}, retryAfter: Record<string, string> = {}) {
    const asked: { path: string | undefined; authorization: string | undefined }[] = [];
    const server = createServer((request, response) => {
        asked.push({ path: request.url, authorization: request.headers.authorization });
        const status = request.url === '/huge' ? 200 : request.url === '/v1/auth/health' ? 503 : Number(request.url?.slice(1));
        if (status === 0) return void request.socket.destroy();
        response
            .writeHead(status, {
                location: 'https://elsewhere.example',
                ...(retryAfter[request.url!] === undefined ? {} : { 'retry-after': retryAfter[request.url!] }),
            })
            .end(request.url === '/huge' ? 'x'.repeat(100_000) : 'secret of the account');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onCleanup(() => new Promise<void>((resolve) => void server.close(() => resolve())));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const context: ModeContext = {
        provider: makeProvider(
            {
                auth_mode: 'API_KEY',
                proxy: { base_url: `http://127.0.0.1:${port}`, headers: { authorization: 'Key ${apiKey}' }, verification: { endpoints } },
                ...entry,
            },
            { plainHttpHost: '127.0.0.1' },
        ),
        integration: {
            id: 'i',
            environmentId: 'e',
            uniqueKey: 'a',
            clientId: null,
            clientSecret: null,
            scopes: null,
            extras: {},
            allowedHosts: null,
            isProduction: true,
        },
        clients: noClients,
        connectionConfig: {},
        egress: loopbackEgress(),
        sources: systemSources,
    };
    return { asked, context };
}

const key: Credentials = { type: 'API_KEY', apiKey: 'k' };
const refusal = (type: string, words: string): unknown =>
    expect.objectContaining({ name: 'ConnectFailure', type, message: expect.stringContaining(words) as string });

describe('testCredentials', () => {
    test('asks in order and stops at the first 2xx', async () => {
        const { asked, context } = await account(['/401', '/500', '/204', '/200']);
        expect(await testCredentials(context, key)).toEqual({});
        expect(asked).toEqual(['/401', '/500', '/204'].map((path) => ({ path, authorization: 'Key k' })));
    });

    test('reads no more of an answer than it must', async () => {
        const { context } = await account(['/huge']);
        await expect(testCredentials(context, key)).resolves.toEqual({});
    });

    test('asks nothing where the entry names no check', async () => {
        const { asked, context } = await account([], { proxy: { base_url: 'http://127.0.0.1' } });
        expect(await testCredentials(context, key)).toEqual({});
        expect(asked).toEqual([]);
    });

    test.each([
        [['/401'], 'connection_test_failed', 'rejected'],
        [['/403', '/500'], 'connection_test_failed', 'rejected'],
        [['/500', '/404'], 'connection_test_failed', 'did not confirm'],
        [['/302'], 'connection_test_failed', '302'],
        [['/400', '/0'], 'connection_test_failed', 'did not confirm'],
        [['/503', '/401'], 'connection_test_failed', 'rejected'],
    ])('%j: %s', async (endpoints, type, words) => {
        const { asked, context } = await account(endpoints);
        await expect(testCredentials(context, key)).rejects.toEqual(refusal(type, words));
        expect(asked.map(({ path }) => path)).toEqual(endpoints);
    });

    test.each([
        [['/429'], '429'],
        [['/500', '/503'], '500, 503'],
        [['/0', '/429'], 'connection_lost'],
    ])('%j: nobody said anything about them', async (endpoints, words) => {
        const { asked, context } = await account(endpoints);
        expect(await testCredentials(context, key)).toEqual({ unverified: expect.stringContaining(words) as string });
        expect(asked.map(({ path }) => path)).toEqual(endpoints);
    });

    test('the longest that an answer asks for is kept (RFC 9110 §10.2.3)', async () => {
        const silent = await account(['/429', '/503', '/0'], {}, { '/429': '120', '/503': '60' });
        expect(await testCredentials(silent.context, key)).toMatchObject({ retryAfterMs: 120_000 });
        const refused = await account(['/503', '/403'], {}, { '/503': '60' });
        await expect(testCredentials(refused.context, key)).rejects.toMatchObject({ says: 'refusal', retryAfterMs: 60_000 });
        const script = { credentials_verification_script: 'apolloCredentialsVerification' };
        const scripted = await account([], script, { '/v1/auth/health': '90' });
        expect(await testCredentials(scripted.context, key)).toMatchObject({ retryAfterMs: 90_000 });
    });

    test('nobody there: unverified; not allowed there: failed', async () => {
        const { context } = await account(['/200']);
        const at = (base_url: string) => ({
            ...context,
            provider: makeProvider(
                { auth_mode: 'API_KEY', proxy: { base_url, verification: { endpoints: ['/me'] } } },
                { plainHttpHost: '127.0.0.1' },
            ),
        });
        expect(await testCredentials(at('http://127.0.0.1:1'), key)).toEqual({ unverified: expect.stringContaining('connection_failed') as string });
        await expect(testCredentials(at('https://10.0.0.1'), key)).rejects.toEqual(refusal('connection_test_failed', 'blocked_by_policy'));
    });

    test('names what the address lacks', async () => {
        const { context } = await account([]);
        const entry: Partial<ProviderEntry> = {
            auth_mode: 'API_KEY',
            proxy: { base_url: 'https://${connectionConfig.sub}.acme.example', verification: { endpoints: ['/me'] } },
            connection_config: { sub: { type: 'string' } },
        };
        const missing = { ...context, provider: makeProvider(entry) };
        await expect(testCredentials(missing, key)).rejects.toEqual(refusal('url_param_err', '"sub" is missing'));
        const wrong = { ...missing, connectionConfig: { sub: 'evil.example/#' } };
        await expect(testCredentials(wrong, key)).rejects.toEqual(refusal('url_param_err', '"sub" is not valid'));
    });
});
