/**
 * The official client's builds that pages still carry (frontend contract §1.1, §6): what each of them does, against the same server.
 * What a build has not learnt yet is in `abilities`, and the tests hold it to that: a build that could would fail here.
 * Everything else that the latest one does: sdk-direct, sdk-popup and sdk-embedded.test.ts.
 */
import type { Frame, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startAccountServer, type AccountServer } from '../../http/import-entries.ts';
import { clientPackages, type ClientVersion } from '../../peers/host-page.ts';
import { startReverseProxy, type ReverseProxy } from '../../peers/reverse-proxy.ts';
import { approve, startRig, type OpenProps, type Outcome, type Rig, type Visit } from './rig.ts';
import { typedEntries } from './typed-entries.ts';

const versions = Object.keys(clientPackages) as ClientVersion[];

/** By ability, the builds of ours that have it, and the release in which it came, as far as §1.1 or the builds tell. */
const abilities = {
    /** After 0.57.6. */
    'the language of the Connect UI': from('0.61.3'),
    /** 0.62.0. */
    'error types in snake case': from('0.69.50'),
    /** 0.66.2. Before, an ampersand or a hash ends a value: the server never sees the rest. */
    'encoded parameters in posts': from('0.69.50'),
    /** After 0.67.8. */
    'the theme of the Connect UI': from('0.69.50'),
    /** 0.69.3. Before, `openConnectUI()` hears nothing from an address with a path or a slash. */
    'a Connect UI below a path': from('0.69.50'),
    /** After 0.61.3. Before, they are a call without credentials to them, and open a popup. */
    'outbound installations': from('0.69.50'),
    /** 0.70.7. Before, they are sent nowhere. */
    'AWS_SIGV4 credentials': from('0.71.2'),
    /** 0.70.9. Before, a second `open()` leaves a frame behind that nothing closes. */
    'a Connect UI that opens once': from('0.71.2'),
    /** After 0.70.6. */
    'the clipboard, for the Connect UI': from('0.71.2'),
    /** 0.71.9. Before, they are sent as an OAuth client, and whatever else belongs to them is not. */
    'TWO_STEP credentials that have a client id': from('0.71.10'),
} as const;
type Ability = keyof typeof abilities;

function from(first: ClientVersion): ReadonlySet<ClientVersion> {
    return new Set(versions.slice(versions.indexOf(first)));
}

let rig: Rig;
/** In front of the API, to see what browsers send. */
let api: ReverseProxy;
let account: AccountServer;

beforeAll(async () => {
    api = await startReverseProxy({ upstream: () => rig.valetkey.url });
    account = await startAccountServer();
    rig = await startRig({
        providers: () => typedEntries(account.url),
        env: { VALETKEY_PUBLIC_URL: api.url, VALETKEY_TRUST_PROXY: '1' },
    });
    for (const slug of ['two-step', 'jwt', 'aws']) await rig.integrate(slug, slug);
    await rig.integrate('outbound', 'outbound', { type: 'OAUTH2', client_id: 'client', client_secret: 'client-secret' });
});
afterAll(async () => {
    await rig?.close();
    await account?.close();
    await api?.close();
});

interface Handle {
    setSessionToken(token: string): void;
    open(): void;
    close(): void;
}

describe.each(versions)('%s', (client) => {
    const has = (ability: Ability): boolean => abilities[ability].has(client);
    let visit: Visit;
    let page: Page;
    let token: string;

    beforeAll(async () => {
        visit = await rig.visit({ client });
        ({ page } = visit);
    });
    afterAll(() => visit?.close());
    beforeEach(async () => {
        ({ token } = await rig.session());
        api.journal.length = 0;
    });

    const call = async (args: unknown[], method: 'auth' | 'create' | 'reconnect' = 'auth'): Promise<void> =>
        visit.call({ method, args, config: { host: api.url, connectSessionToken: token } });
    const auth = async (key: string, options: Record<string, unknown>): Promise<Outcome> => {
        await call([key, options]);
        return visit.outcome();
    };
    const sent = (): string[] => api.journal.filter((line) => /^(OPTIONS|POST) /.test(line));
    const connection = async (key: string, { resolved }: Outcome) => {
        const path = `/connections/${resolved!.connectionId}?provider_config_key=${key}`;
        const answer = await rig.valetkey.call<{ credentials: object; connection_config: object }>('GET', path);
        expect(answer.status).toBe(200);
        return answer.body;
    };
    const connected = (key: string): Outcome => ({ resolved: { providerConfigKey: key, connectionId: expect.any(String) as string } });
    const rightKey = () => ({ credentials: { apiKey: rig.provider.account.apiKey } });

    test('F1, F8: an API key, after a preflight', async () => {
        const outcome = await auth('keys', rightKey());
        expect(outcome).toEqual(connected('keys'));
        expect((await connection('keys', outcome)).credentials).toEqual({ type: 'API_KEY', ...rightKey().credentials });
        expect(sent()).toEqual(['OPTIONS /api-auth/api-key/keys', 'POST /api-auth/api-key/keys']);
    });

    test('F2: a user name, and an empty password', async () => {
        const outcome = await auth('basic', { credentials: { username: 'ann', password: '' } });
        expect(outcome).toEqual(connected('basic'));
        expect((await connection('basic', outcome)).credentials).toEqual({ type: 'BASIC', username: 'ann', password: '' });
    });

    test('F5: nested parameters', async () => {
        const plain = await auth('keys', { ...rightKey(), params: { a: 'b c', 'dotted.name': 'ä' } });
        expect((await connection('keys', plain)).connection_config).toEqual({ a: 'b c', 'dotted.name': 'ä' });
        const cut = await auth('keys', { ...rightKey(), params: { a: 'b&c' } });
        expect((await connection('keys', cut)).connection_config).toEqual({ a: has('encoded parameters in posts') ? 'b&c' : 'b' });
    });

    test('F7: a failure has a type and a sentence', async () => {
        const { rejected } = await auth('keys', { credentials: { apiKey: 'wrong-secret' } });
        expect(rejected).toMatchObject({ name: 'AuthError', type: 'connection_test_failed' });
        expect(rejected?.message).toMatch(/.{10}/);
        token = `nango_connect_session_${'0'.repeat(64)}`;
        expect((await auth('keys', rightKey())).rejected).toMatchObject({ name: 'AuthError', type: 'unknown_connect_session_token' });
    });

    test('F10: a popup, which closes by itself', async () => {
        const popup = visit.nextWindow();
        await call(['oauth', { params: { a: 'b c' } }]);
        const opened = await popup;
        const closed = opened.waitForEvent('close');
        await approve(opened);
        const outcome = await visit.outcome();
        expect(outcome).toEqual({ resolved: { ...connected('oauth').resolved, isPending: false } });
        expect((await connection('oauth', outcome)).connection_config).toMatchObject({ a: 'b c' });
        await closed;
    });

    test('F12: the provider’s refusal', async () => {
        const popup = visit.nextWindow();
        await call(['oauth']);
        await (await popup).click('#deny');
        const { rejected } = await visit.outcome();
        expect(rejected).toMatchObject({ name: 'AuthError', type: 'callback_err' });
        expect(rejected?.message).toContain('access_denied');
    });

    test('F16: a popup that its user closes', async () => {
        const popup = visit.nextWindow();
        await call(['oauth', { detectClosedAuthWindow: true }]);
        const opened = await popup;
        await opened.waitForSelector('#approve');
        await opened.close();
        const type = has('error types in snake case') ? 'window_closed' : 'windowClosed';
        expect((await visit.outcome()).rejected).toMatchObject({ name: 'AuthError', type });
    });

    test('F23: a reconnect keeps the id of its connection', async () => {
        const { resolved } = await auth('keys', rightKey());
        const body = { connection_id: resolved!.connectionId, integration_id: 'keys' };
        for (const method of ['auth', 'reconnect'] as const) {
            const session = await rig.valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', body);
            ({ token } = session.body.data);
            await call(['keys', rightKey()], method);
            expect(await visit.outcome()).toEqual({ resolved });
        }
    });

    describe('modes that builds learnt, or unlearnt, to send', () => {
        const refusal = (type: string) => ({ name: 'AuthError', type, message: expect.stringMatching(/.{10}/) as string });
        const unsent = { name: 'Error' };

        test('outbound installations', async () => {
            const { resolved, rejected } = await auth('outbound', { installation: 'outbound', credentials: {}, params: { actor: '17' } });
            if (has('outbound installations')) expect(resolved).toEqual(connected('outbound').resolved);
            else expect(rejected).toEqual(refusal('auth_mode_err'));
        });

        test('AWS_SIGV4, as far as the integration that names no service', async () => {
            const credentials = { type: 'AWS_SIGV4', role_arn: 'arn:aws:iam::123456789012:role/app', region: 'eu-central-1' };
            const { rejected } = await auth('aws', { credentials });
            expect(rejected).toMatchObject(has('AWS_SIGV4 credentials') ? refusal('missing_aws_sigv4_service') : unsent);
        });

        test('TWO_STEP with a client id', async () => {
            account.answer = { status: 200, body: { token: 't' } };
            const outcome = await auth('two-step', { credentials: { type: 'TWO_STEP', client_id: 'an-id', client_secret: 'a-secret' } });
            if (has('TWO_STEP credentials that have a client id')) expect(outcome).toEqual(connected('two-step'));
            else expect(outcome.rejected).toEqual(refusal('outdated_client'));
        });

        test('JWT with a key’s id and issuer, which 0.71.1 and 0.71.2 send elsewhere', async () => {
            const credentials = { privateKeyId: 'k', issuerId: 'i', privateKey: `${'a'.repeat(24)}:${'0f'.repeat(32)}` };
            expect(await auth('jwt', { credentials })).toEqual(connected('jwt'));
            expect(sent().at(-1)).toBe(client === '0.71.2' ? 'POST /app-store-auth/jwt' : 'POST /auth/jwt/jwt');
        });

        test('TABLEAU, up to 0.61.3: no server has its endpoint any more, which is an AuthError all the same', async () => {
            const { rejected } = await auth('keys', { credentials: { pat_name: 'a-name', pat_secret: 'a-secret' } });
            expect(rejected).toMatchObject(['0.57.6', '0.61.3'].includes(client) ? refusal('not_found') : unsent);
        });
    });

    describe('openConnectUI()', () => {
        // What a test that failed left behind must not make the next one fail.
        beforeEach(() => page.evaluate(() => document.querySelectorAll('iframe').forEach((frame) => frame.remove())));

        const open = (props: OpenProps): Promise<Frame> => visit.openConnectUi({ apiURL: api.url, ...props });
        const handle = <Value>(act: (connectUi: Handle, given?: string) => Value, given?: string) =>
            page.evaluate(`(${act.toString()})(window.connectUi, ${JSON.stringify(given)})`);
        const gone = () => page.waitForSelector('iframe#connect-ui', { state: 'detached' });
        /** The page's own ears: they hear also what the client ignores. */
        const readyMessage = (): Promise<void> =>
            page.evaluate(
                () =>
                    new Promise((resolve) => {
                        window.addEventListener('message', ({ data }: MessageEvent<{ type?: string }>) => data.type === 'ready' && resolve());
                    }),
            );
        const types = async (): Promise<string[]> => (await visit.events()).map(({ type }) => type);

        test('C1, C8, C18: a token after the handshake, one connection, one close', async () => {
            ({ token } = await rig.session({ allowed_integrations: ['keys'] }));
            const frame = await open({});
            await expect.poll(types).toEqual(['ready']);
            await expect.poll(() => page.evaluate(() => document.body.style.overflow)).toBe('hidden');
            await handle((connectUi, given) => connectUi.setSessionToken(given!), token);
            await frame.getByRole('textbox', { name: 'API key' }).fill(rig.provider.account.apiKey);
            expect(await frame.getByRole('button', { name: 'Back' }).count()).toBe(0);
            await frame.click('button[type=submit]');
            await frame.getByRole('heading', { name: 'Connected' }).waitFor();
            const told = [{ type: 'ready' }, { type: 'connect', payload: connected('keys').resolved }];
            await expect.poll(() => visit.events()).toEqual(told);
            await frame.getByRole('button', { name: 'Done' }).click();
            await gone();
            await expect.poll(() => visit.events()).toEqual([...told, { type: 'close' }]);
            await expect.poll(() => page.evaluate(() => document.body.style.overflow)).toBe('');
        });

        test('C18: through a popup; language and theme', async () => {
            ({ token } = await rig.session({ allowed_integrations: ['oauth'] }));
            const frame = await open({ sessionToken: token, lang: 'de', themeOverride: 'dark' });
            const popup = visit.nextWindow();
            await frame.click('button[type=submit]');
            const opened = await popup;
            await opened.waitForSelector('#approve');
            const [lang, theme] = [has('the language of the Connect UI'), has('the theme of the Connect UI')];
            const { searchParams } = new URL(frame.url());
            expect([searchParams.get('lang'), searchParams.get('theme')]).toEqual([lang ? 'de' : null, theme ? 'dark' : null]);
            expect(await frame.getAttribute('html', 'lang')).toBe(lang ? 'de' : 'en');
            expect((await frame.getAttribute('html', 'class'))?.includes('dark') ?? false).toBe(theme);
            await approve(opened);
            await expect.poll(types).toEqual(['ready', 'connect']);
            await handle((connectUi) => connectUi.close());
            await gone();
        });

        test.each<[string, () => string, boolean]>([
            ['the API’s origin', () => api.url, true],
            ['its own origin, with a slash', () => `${rig.uiUrl}/`, has('a Connect UI below a path')],
            ['a path of the API', () => `${api.url}/connect-ui`, has('a Connect UI below a path')],
            ['a path with a slash and a query', () => `${api.url}/connect-ui/?popup_width=700`, has('a Connect UI below a path')],
        ])('C2: at %s', async (_name, baseURL, isHeard) => {
            const ready = readyMessage();
            const frame = await open({ sessionToken: token, baseURL: baseURL() });
            await ready;
            if (isHeard) {
                await frame.getByRole('button', { name: /oauth-test/ }).waitFor();
                await expect.poll(types).toEqual(['ready']);
            } else {
                await expect.poll(types).toEqual([]);
            }
            await handle((connectUi) => connectUi.close());
            await gone();
        });

        test('a second open(), and what the frame may do', async () => {
            await open({ sessionToken: token });
            expect(await page.getAttribute('iframe#connect-ui', 'allow')).toBe(has('the clipboard, for the Connect UI') ? 'clipboard-write' : null);
            await handle((connectUi) => connectUi.open());
            expect(await page.locator('iframe#connect-ui').count()).toBe(has('a Connect UI that opens once') ? 1 : 2);
        });
    });
});
