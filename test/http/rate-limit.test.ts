/** How much may be asked in a minute (http-api §1.10). */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';

describe('the rate limit', () => {
    let limited: TestApp;

    beforeAll(async () => {
        limited = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '3' }, providers: providersFile(untestedKeyEntry('keys')) });
    });

    afterAll(() => limited?.close());

    test('counts down in every answer, refusals included, and ends in 429 with the way back', async () => {
        // at the start of a window, so that no minute ends in between
        limited.advance(60_000 - (Date.now() % 60_000));
        const key = await limited.insertKey({ scopes: ['environment:connections:list'] });
        const statuses: unknown[] = [];
        for (const path of ['/connections', '/environment', '/connections?limit=no']) {
            const answer = await limited.call('GET', path, { key });
            statuses.push([answer.status, answer.headers['x-ratelimit-limit'], answer.headers['x-ratelimit-remaining']]);
        }
        expect(statuses).toEqual([
            [200, '3', '2'],
            [403, '3', '1'],
            [400, '3', '0'],
        ]);
        const answer = await limited.call('GET', '/connections?limit=5', { key });
        expect([answer.status, answer.body]).toEqual([
            429,
            { error: expect.objectContaining({ code: 'too_many_request', method: 'GET', path: '/connections' }) as object },
        ]);
        const wait = Number(answer.headers['retry-after']);
        expect(wait).toBeGreaterThan(50);
        expect(wait).toBeLessThanOrEqual(60);
        expect(answer.headers).toMatchObject({ 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '0' });
        expect(Number(answer.headers['x-ratelimit-reset']) % 60).toBe(0);
        expect(answer.headers['access-control-allow-origin']).toBe('*');

        // other keys have budgets of their own, as have sessions; whoever is not known has that of the address
        expect((await limited.call('GET', '/connections')).status).toBe(200);
        const sessionToken = await createSession(limited);
        for (let call = 0; call < 3; call += 1) {
            expect((await limited.call('GET', '/connect/session', { key: sessionToken })).status).toBe(200);
        }
        const tooMany = await limited.call('POST', `/api-auth/api-key/keys?connect_session_token=${sessionToken}`, { key: null, body: {} });
        expect(tooMany).toMatchObject({ status: 429, body: { error: { code: 'too_many_request', message: expect.any(String) as string } } });
        const popup = await limited.call('GET', `/oauth/connect/keys?connect_session_token=${sessionToken}&ws_client_id=x`, { key: null });
        expect([popup.status, popup.headers['retry-after']]).toEqual([429, expect.stringMatching(/^\d+$/)]);

        limited.advance(60_000);
        expect((await limited.call('GET', '/connections', { key })).headers['x-ratelimit-remaining']).toBe('2');
    });

    test('one session gets a part of what its environment has, so that the others go on', async () => {
        const roomy = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '1100' }, providers: providersFile(untestedKeyEntry('keys')) });
        roomy.advance(60_000 - (Date.now() % 60_000));
        const [busy, other] = [await createSession(roomy), await createSession(roomy)];
        const read = (key: string) => roomy.call('GET', '/connect/session', { key });
        for (let call = 0; call < 110; call += 1) {
            await read(busy);
        }
        const refused = await read(busy);
        expect([refused.status, refused.headers['x-ratelimit-limit']]).toEqual([429, '110']);
        const answer = await read(other);
        expect([answer.status, answer.headers['x-ratelimit-remaining']]).toEqual([200, String(1100 - 111)]);
        await roomy.close();
    });

    test('does not concern health, readiness and callbacks', async () => {
        for (const path of ['/health', '/ready', '/oauth/callback']) {
            for (let call = 0; call < 5; call += 1) {
                const answer = await limited.call('GET', path, { key: null });
                expect(answer.status).not.toBe(429);
                expect(answer.headers).not.toHaveProperty('x-ratelimit-limit');
            }
        }
    });

    test('a failed authentication costs its address ten points, and never those who authenticate there', async () => {
        const shared = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '20', VALETKEY_TRUST_PROXY: '1' } });
        try {
            shared.advance(60_000 - (Date.now() % 60_000));
            const from = (address: string, key: string) =>
                shared.call('GET', '/connections', { key, headers: { 'x-forwarded-for': address } }).then(({ status }) => status);
            const wrong = randomUUID();
            expect([await from('203.0.113.7', wrong), await from('203.0.113.7', wrong), await from('203.0.113.7', wrong)]).toEqual([401, 401, 429]);
            expect(await from('203.0.113.7', shared.key)).toBe(200);
            expect(await from('203.0.113.8', wrong)).toBe(401);
            // what a client adds to the header itself does not count
            expect(await from('198.51.100.1, 203.0.113.7', wrong)).toBe(429);
            // an IPv6 subscriber has 2^64 addresses
            const v6 = [await from('2001:db8:1:2::1', wrong), await from('2001:db8:1:2:ffff::9', wrong), await from('2001:db8:1:2:1:2:3:4', wrong)];
            expect(v6).toEqual([401, 401, 429]);
            expect(await from('2001:db8:1:3::1', wrong)).toBe(401);
            expect([await from('::ffff:203.0.113.9', wrong), await from('203.0.113.9', wrong), await from('203.0.113.9', wrong)]).toEqual([
                401, 401, 429,
            ]);
        } finally {
            await shared.close();
        }
    });

    test('without a trusted proxy nobody names the address of another', async () => {
        limited.advance(60_000 - ((Date.now() + 60_000) % 60_000));
        const statuses: number[] = [];
        for (const address of ['203.0.113.1', '203.0.113.2']) {
            statuses.push((await limited.call('GET', '/connections', { key: randomUUID(), headers: { 'x-forwarded-for': address } })).status);
        }
        expect(statuses).toEqual([429, 429]);
    });

    test('what asks for no credentials costs the address ten points, a logo one', async () => {
        const open = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '30' } });
        try {
            open.advance(60_000 - (Date.now() % 60_000));
            const left = async (path: string) => (await open.call('GET', path, { key: null })).headers['x-ratelimit-remaining'];
            expect([await left('/'), await left('/images/template-logos/github.svg'), await left('/')]).toEqual(['20', '19', '9']);
        } finally {
            await open.close();
        }
    });
});
