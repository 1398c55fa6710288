/** What no server here can show: OAuth 1.0a over plain http. The flow itself is in `e2e/oauth1.test.ts`. */
import { expect, test } from 'vitest';
import type { RedirectStart } from '../../src/auth-modes/auth-mode.ts';
import { oauth1 } from '../../src/auth-modes/oauth1.ts';
import type { Egress, EgressRequest } from '../../src/egress/egress.ts';
import { compileProvider, type ProviderEntry } from '../../src/providers/provider.ts';
import { systemSources } from '../../src/sources.ts';
import { noClients } from './no-clients.ts';

const begin = async (origin: string, signature_method: string): Promise<{ sent: EgressRequest[]; failure: unknown }> => {
    const entry = {
        display_name: 'Photos',
        auth_mode: 'OAUTH1',
        authorization_url: `${origin}/authorize`,
        request_url: `${origin}/request`,
        token_url: `${origin}/token`,
        signature_method,
    } as ProviderEntry;
    const sent: EgressRequest[] = [];
    const egress = {
        request: (request: EgressRequest) => {
            sent.push(request);
            return Promise.resolve({
                status: 200,
                headers: {},
                body: Buffer.from('oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true'),
            });
        },
    } as unknown as Egress;
    const input = {
        provider: compileProvider('photos', entry, { isBuiltin: false, isPlainHttpAllowed: () => true }),
        integration: {
            clientId: 'key',
            clientSecret: 'secret',
            scopes: null,
            extras: {},
            allowedHosts: null,
            isProduction: true,
            id: 'i',
            environmentId: 'e',
            uniqueKey: 'photos',
        },
        clients: noClients,
        connectionConfig: {},
        egress,
        sources: systemSources,
        redirectUri: 'https://valetkey.example.org/oauth/callback?tenant=7',
        state: 'the-state',
        pkceVerifier: '',
        scopesOverride: undefined,
        clientAuthorizationParams: {},
        sessionAuthorizationParams: undefined,
        userScope: undefined,
    } satisfies RedirectStart;
    const failure = await oauth1.redirect!.start(input).then(
        () => undefined,
        (error: unknown) => error,
    );
    return { sent, failure };
};

test('a PLAINTEXT signature, which is the secrets themselves, is sent over https only (RFC 5849 §3.4.4)', async () => {
    expect(await begin('http://photos.example.net', 'PLAINTEXT')).toEqual({
        sent: [],
        failure: expect.objectContaining({ type: 'token_err' }) as unknown,
    });
    expect(await begin('https://photos.example.net', 'PLAINTEXT')).toEqual({ sent: [expect.anything()], failure: undefined });
    expect(await begin('http://photos.example.net', 'HMAC-SHA1')).toEqual({ sent: [expect.anything()], failure: undefined });
});

test('RSA signatures are not made here, and said not to be', async () => {
    expect(await begin('https://photos.example.net', 'RSA-SHA1')).toMatchObject({ sent: [], failure: { type: 'auth_mode_err' } });
});

test('the state joins whatever query the callback has', async () => {
    const { sent } = await begin('https://photos.example.net', 'HMAC-SHA1');
    expect(sent[0]?.headers?.['authorization']).toContain(
        `oauth_callback="${encodeURIComponent('https://valetkey.example.org/oauth/callback?tenant=7&state=the-state')}"`,
    );
    expect(sent[0]).toMatchObject({ method: 'POST' });
    expect(sent[0]).not.toHaveProperty('maxRedirects');
});
