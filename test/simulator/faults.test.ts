/** What can be made to go wrong, and the control API and page that do it. */
import { expect, test } from 'vitest';
import { bearer, callback, codeOf, decide, pkce, request, send, startTwins, verifier, type Twins } from './twins.ts';

const authorize = 'https://acme.example/authorize';
const token = 'https://acme.example/token';
const api = 'https://api.acme.example/me';
const entry = {
    auth_mode: 'OAUTH2',
    display_name: 'Acme <CRM>',
    authorization_url: authorize,
    token_url: token,
    proxy: { base_url: 'https://api.acme.example' },
};
const client = { client_id: 'acme.twin', client_secret: 'secret-of-acme' };

async function granted(
    entries: Record<string, unknown> = { acme: entry },
): Promise<{ twins: Twins; access: string; refresh(): ReturnType<Twins['form']> }> {
    const twins = await startTwins(entries);
    const code = await codeOf(twins, authorize, request('acme', pkce));
    const { body } = await twins.form(token, { grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier: verifier, ...client });
    return {
        twins,
        access: body.access_token,
        refresh: () => twins.form(token, { grant_type: 'refresh_token', refresh_token: body.refresh_token, ...client }),
    };
}

test.each<[string, Record<string, unknown>]>([
    ['error', { status: 500, text: 'Internal Server Error' }],
    ['html', { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } }],
    ['rate_limited', { status: 429, headers: { 'retry-after': '30' } }],
    ['redirect', { status: 302, headers: { location: 'https://elsewhere.example/' } }],
    ['revoked', { status: 400, body: { error: 'invalid_grant' } }],
])('%s replaces the answer, leaves the grant as it was, and can be switched off again', async (fault, expected) => {
    const { twins, refresh } = await granted();
    await twins.fault(fault, 'acme');
    expect(await refresh()).toMatchObject(fault === 'html' ? { ...expected, text: expect.stringContaining('<h1>') } : expected);
    // Pages for people are not servers.
    expect((await twins.get(`${authorize}?${new URLSearchParams(request('acme', pkce)).toString()}`)).status).toBe(200);
    await twins.fault(fault, 'acme', false);
    expect((await refresh()).status).toBe(200);
});

test('revoked tells API callers that their token is invalid', async () => {
    const { twins, access } = await granted();
    await twins.fault('revoked');
    expect(await twins.get(api, bearer(access))).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': expect.stringContaining('invalid_token') },
    });
});

test('lost_refresh does the work and hangs up', async () => {
    const { twins, refresh } = await granted();
    await twins.fault('lost_refresh', 'acme');
    await expect(refresh()).rejects.toThrow(/hang up|ECONNRESET/);
    await twins.fault('lost_refresh', 'acme', false);
    expect((await refresh()).body.error_description).toContain('already exchanged');
    expect(twins.simulator.activity.list('acme')[1]).toMatchObject({ outcome: 'fault', note: expect.stringContaining('lost') });
});

test('clock_skew is in the Date header', async () => {
    const { twins, refresh } = await granted();
    await twins.fault('clock_skew', 'acme');
    expect(Date.parse((await refresh()).headers['date']!) - Date.now()).toBeGreaterThan(9 * 60_000);
});

test('deny says no on the page and at logins', async () => {
    const login = {
        auth_mode: 'TWO_STEP',
        token_url: 'https://two.example/login',
        token_params: { key: '${credentials.key}' },
        token_response: { token: 'token' },
    };
    const twins = await startTwins({ acme: entry, two: login });
    await twins.fault('deny');
    expect((await decide(twins, authorize, request('acme', pkce))).searchParams.get('error')).toBe('access_denied');
    expect((await twins.json('https://two.example/login', { key: 'k' })).status).toBe(401);
});

test('auto_approve needs nobody', async () => {
    const twins = await startTwins({ acme: entry });
    await twins.fault('auto_approve');
    const reply = await twins.get(`${authorize}?${new URLSearchParams(request('acme', pkce)).toString()}`);
    expect(new URL(reply.headers['location']!).searchParams.get('code')).toBeTruthy();
});

test('short_lived tokens end within the minute', async () => {
    const { twins, refresh } = await granted();
    await twins.fault('short_lived', 'acme');
    const { body } = await refresh();
    expect(body.expires_in).toBe(60);
    twins.advance(61_000);
    expect((await twins.get(api, bearer(body.access_token))).status).toBe(401);
});

test('slow waits before it answers', async () => {
    const { twins, refresh } = await granted();
    const waits: number[] = [];
    Object.assign(twins.simulator.world.sources, { sleep: (ms: number) => Promise.resolve(void waits.push(ms)) });
    await twins.fault('slow', 'acme');
    expect((await refresh()).status).toBe(200);
    expect(waits).toEqual([5000]);
});

test('one twin’s faults are no other’s', async () => {
    const { twins, refresh } = await granted({ acme: entry, other: { ...entry, token_url: 'https://other.example/token' } });
    await twins.fault('error', 'other');
    expect((await refresh()).status).toBe(200);
    expect((await twins.form('https://other.example/token', {})).status).toBe(500);
});

test('everything that one twin gave out can be revoked', async () => {
    const { twins, access, refresh } = await granted();
    expect((await twins.control('/_twin/revoke', { provider: 'acme' })).body).toEqual({ revoked: 1 });
    expect((await twins.get(api, bearer(access))).status).toBe(401);
    expect((await refresh()).body.error).toBe('invalid_grant');
});

test('the control API takes JSON about known providers and faults, and lists and resets', async () => {
    const twins = await startTwins({ acme: entry });
    const port = Number(new URL(twins.origin).port);
    expect((await twins.control('/_twin/faults', { provider: 'nobody', fault: 'error', on: true })).status).toBe(400);
    expect((await twins.fault('explode')).status).toBe(400);
    expect((await send(port, '/_twin/faults', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' })).status).toBe(415);
    await twins.fault('error', 'acme');
    expect((await send(port, '/_twin/faults', {})).body).toEqual([{ slug: 'acme', fault: 'error' }]);
    expect((await send(port, '/_twin/providers?search=CRM', {})).body).toEqual([
        { provider: 'acme', display_name: 'Acme <CRM>', auth_mode: 'OAUTH2' },
    ]);
    expect((await send(port, '/_twin/samples/acme', {})).body.integration).toEqual(client);
    expect((await send(port, '/_twin/samples/nobody', {})).status).toBe(404);
    await twins.control('/_twin/reset', {});
    expect((await send(port, '/_twin/faults', {})).body).toEqual([]);
});

test('names that lead here from elsewhere are refused (DNS rebinding)', async () => {
    const twins = await startTwins({ acme: entry });
    expect((await send(Number(new URL(twins.origin).port), '/', { headers: { host: 'evil.example' } })).status).toBe(421);
});

test('the activity page escapes, lists, says why, and shows no secret', async () => {
    const { twins, access } = await granted();
    await twins.form(token, { grant_type: 'authorization_code', code: 'code_guess', redirect_uri: callback, code_verifier: verifier, ...client });
    await twins.get(`${api}?secret=s3cr3t`, bearer(access));
    const page = await send(Number(new URL(twins.origin).port), '/?provider=acme', {});
    expect(page.headers['content-security-policy']).toMatch(/default-src 'none'; style-src 'nonce-/);
    for (const text of ['Acme &lt;CRM&gt;', 'not one that this provider gave out', '200 accepted', 'acme.twin']) expect(page.text).toContain(text);
    for (const secret of [access, 's3cr3t', 'code_guess', verifier]) expect(page.text).not.toContain(secret);
});
