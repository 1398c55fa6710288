/** Token requests and the reading of answers: one client authentication per request, JSON or form answers, safe descriptions. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { basicPair, rawPair, readTokenResponse, requestToken, type TokenRequest } from '../../src/auth-modes/token-endpoint.ts';
import type { TokenReceipt } from '../../src/credentials/renewal-strategy.ts';
import { TokenFailure } from '../../src/credentials/token-failure.ts';
import { createEgress, type Egress } from '../../src/egress/egress.ts';
import { systemSources } from '../../src/sources.ts';

const now = Date.parse('2026-05-01T12:00:00Z');

const receipt = (body: string, contentType = 'application/json'): TokenReceipt => ({
    status: 200,
    contentType,
    body,
    requestedAt: now,
    receivedAt: now + 900,
});

describe('client authentication', () => {
    let server: Server;
    let egress: Egress;
    let seen: { headers: IncomingHttpHeaders; body: string }[] = [];
    let answer = { status: 200, type: 'application/json', body: '{"access_token":"t"}' };

    const call = (change: Partial<TokenRequest>) =>
        requestToken(egress, {
            url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/token?tenant=7`),
            params: { grant_type: 'authorization_code', code: 'the-code' },
            clientId: 'id',
            clientSecret: 'se:c/ret+1',
            clientAuthentication: 'body',
            bodyFormat: 'form',
            deadlineMs: 5_000,
            secrets: [],
            ...change,
        });

    beforeAll(async () => {
        server = createServer((request, response) => {
            let body = '';
            request.on('data', (chunk: Buffer) => (body += chunk.toString()));
            request.on('end', () => {
                seen.push({ headers: { ...request.headers, ':path': request.url }, body });
                response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
            });
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        egress = createEgress({ allow: ['127.0.0.0/8'], sources: systemSources, userAgent: 'test' });
    });

    afterAll(async () => {
        await egress.close();
        await new Promise((resolve) => server.close(resolve));
    });

    test('in the body, and then not in a header; the query of the URL is kept', async () => {
        seen = [];
        await call({});
        expect(seen[0]!.headers.authorization).toBeUndefined();
        expect(seen[0]!.headers[':path']).toBe('/token?tenant=7');
        expect(Object.fromEntries(new URLSearchParams(seen[0]!.body))).toEqual({
            grant_type: 'authorization_code',
            code: 'the-code',
            client_id: 'id',
            client_secret: 'se:c/ret+1',
        });
    });

    test('in a Basic header, each part form-encoded first, and then not in the body', async () => {
        seen = [];
        await call({ clientAuthentication: 'basic' });
        expect(seen[0]!.headers.authorization).toBe('Basic aWQ6c2UlM0FjJTJGcmV0JTJCMQ==');
        expect(seen[0]!.body).not.toContain('client');
        expect(basicPair('id', 'se:c/ret+1')).toBe('aWQ6c2UlM0FjJTJGcmV0JTJCMQ==');
        expect(rawPair('id', 'se:c/ret+1')).toBe('aWQ6c2U6Yy9yZXQrMQ==');
    });

    test('with the secret as user name and nothing else, as Stripe apps do', async () => {
        seen = [];
        await call({ clientAuthentication: 'basic_secret', clientSecret: 'sk_test_1' });
        expect(seen[0]!.headers.authorization).toBe(`Basic ${Buffer.from('sk_test_1:').toString('base64')}`);
        expect(seen[0]!.body).not.toContain('client');
    });

    test('a public client names itself and sends no secret parameter', async () => {
        seen = [];
        await call({ clientSecret: '', bodyFormat: 'json' });
        expect(JSON.parse(seen[0]!.body)).toEqual({ grant_type: 'authorization_code', code: 'the-code', client_id: 'id' });
        expect(seen[0]!.headers['content-type']).toBe('application/json');
    });

    test('a refusal is described without the secrets that the provider repeats', async () => {
        answer = {
            status: 400,
            type: 'application/json',
            body: '{"error":"invalid_grant","error_description":"code the-code of se:c/ret+1 is spent"}',
        };
        const failure = await call({}).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(TokenFailure);
        expect(failure).toMatchObject({ kind: 'permanent', isAmbiguous: false });
        expect((failure as Error).message).toBe('The token endpoint answered 400 (invalid_grant: code [redacted] of [redacted] is spent).');
    });

    test('an error inside a 200 is an error', async () => {
        answer = { status: 200, type: 'application/json', body: '{"error":"bad_refresh_token"}' };
        await expect(call({})).rejects.toMatchObject({ kind: 'permanent' });
    });
});

describe('reading an answer', () => {
    test('JSON: lifetimes count from the request, and the raw answer is kept with its expiry', () => {
        const read = readTokenResponse(receipt('{"access_token":"a","refresh_token":"r","expires_in":3600,"scope":"x"}'), {});
        expect(read).toMatchObject({ obtainedAt: now, expiresAt: now + 3_600_000 });
        expect(read.credentials).toEqual({
            type: 'OAUTH2',
            access_token: 'a',
            refresh_token: 'r',
            expires_at: '2026-05-01T13:00:00.000Z',
            raw: { access_token: 'a', refresh_token: 'r', expires_in: 3600, scope: 'x', expires_at: '2026-05-01T13:00:00.000Z' },
        });
    });

    test.each([
        ['beyond reason', '"expires_at":99999999999999999', true],
        ['words', '"expires_in":"soon"', true],
        ['never, by a zero', '"expires_at":0', false],
        ['nothing', '"expires_in":null', false],
        ['one of two that is right', '"expires_at":"nonsense","expires_in":60', false],
    ])('an expiry that cannot be right is unknown, and noted without its value (R16): %s', (_, member, isNoted) => {
        const { notes = [] } = readTokenResponse(receipt(`{"access_token":"a",${member}}`), {});
        expect(notes).toEqual(isNoted ? [expect.stringMatching(/counts as unknown/)] : []);
        expect(notes.join()).not.toMatch(/9999|soon/);
    });

    test('form-encoded, as GitHub answers who does not ask for JSON', () => {
        const read = readTokenResponse(receipt('access_token=gho_1&scope=repo%2Cgist&token_type=bearer', 'application/x-www-form-urlencoded'), {});
        expect(read.credentials).toMatchObject({ access_token: 'gho_1', raw: { scope: 'repo,gist' } });
        expect(read.expiresAt).toBeNull();
    });

    test('a token elsewhere brings its refresh token and expiry along', () => {
        const body = '{"ok":true,"authed_user":{"access_token":"xoxp","refresh_token":"xoxe","expires_in":60}}';
        expect(readTokenResponse(receipt(body), { alternatePath: 'authed_user' })).toMatchObject({
            expiresAt: now + 60_000,
            credentials: { access_token: 'xoxp', refresh_token: 'xoxe' },
        });
        expect(
            readTokenResponse(receipt('{"access_token":"root","authed_user":{"access_token":"x"}}'), { alternatePath: 'authed_user' }).credentials
                .access_token,
        ).toBe('root');
    });

    test.each([
        ['an HTML page', '<!doctype html><h1>Down</h1>', 'text/html', 'transient', 'HTML page'],
        ['nothing', '', 'application/json', 'transient', 'neither JSON nor form-encoded'],
        ['JSON without a token', '{"token_type":"bearer"}', 'application/json', 'unknown', 'without an access token'],
        ['an empty token', '{"access_token":""}', 'application/json', 'unknown', 'without an access token'],
    ])('%s is a failure that says so', (_name, body, contentType, kind, words) => {
        expect(() => readTokenResponse(receipt(body, contentType), {})).toThrowError(
            expect.objectContaining({ kind, message: expect.stringContaining(words) as string }) as Error,
        );
    });
});
