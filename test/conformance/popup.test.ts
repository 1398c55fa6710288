/** The popup and its socket (http-api §16 no. 13). */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { consent, finishPopup, openPopup, openSocket } from '../e2e/popup.ts';
import { isOwn, useTarget } from './target.ts';

const target = useTarget();

describe('13. the socket', () => {
    test('greets with an id before anything else', async () => {
        const socket = await openSocket(target.url);
        expect(socket.frames[0]).toEqual({
            message_type: 'connection_ack',
            ws_client_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) as string,
        });
        socket.close();
    });

    test('hears why a popup went nowhere, and the popup shows a page', async () => {
        const popup = await openPopup(target.url, `/oauth/connect/no-such-thing?connect_session_token=${await target.session()}`);
        expect([popup.first.status, popup.first.headers.get('content-type')]).toEqual([400, expect.stringMatching(/^text\/html/)]);
        expect(await popup.socket.outcome()).toMatchObject({
            message_type: 'error',
            provider_config_key: 'no-such-thing',
            error_type: 'provider_config_err',
            error_desc: expect.any(String) as string,
        });
        popup.socket.close();
    });

    test('a callback with no state, or one that nobody gave out, is a page with status 400', async () => {
        for (const query of ['', '?code=x', `?code=x&state=${randomUUID()}`]) {
            const reply = await target.call('GET', `/oauth/callback${query}`, { key: null });
            expect([query, reply.status, reply.headers.get('content-type')]).toEqual([query, 400, expect.stringMatching(/^text\/html/)]);
        }
    });
});

describe.skipIf(!isOwn)('13. a whole flow (needs a provider that the target calls)', () => {
    let integration: string;
    beforeAll(async () => {
        const { tokens } = target.own!;
        integration = await target.oauthIntegration('faulty', { id: tokens.clientId, secret: tokens.clientSecret });
    });
    const open = async () => openPopup(target.url, `/oauth/connect/${integration}?connect_session_token=${await target.session()}`);

    test('granted: a success frame, a page that tells its opener and both of its channels, a connection', async () => {
        const popup = await open();
        expect([popup.first.status, new URL(popup.authorizationUrl).searchParams.get('response_type')]).toEqual([302, 'code']);
        const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
        popup.socket.close();
        expect(outcome).toEqual({
            message_type: 'success',
            provider_config_key: integration,
            connection_id: expect.any(String) as string,
            is_pending: false,
        });
        expect(page.status).toBe(200);
        for (const part of ['nango_oauth_callback_success', 'nango-oauth-callback', 'nango_oauth_callback_ack']) {
            expect(page.html).toContain(part);
        }
        expect((await target.call('GET', `/connections/${outcome.connection_id}?provider_config_key=${integration}`)).status).toBe(200);
    });

    test('refused: an error frame, a page with status 400 that tells its opener', async () => {
        const popup = await open();
        target.own!.tokens.fail('deny', 1);
        const { page, outcome } = await finishPopup(popup, await consent(popup.authorizationUrl));
        popup.socket.close();
        expect(outcome).toMatchObject({
            message_type: 'error',
            error_type: 'callback_err',
            error_desc: expect.stringContaining('access_denied') as string,
        });
        expect([page.status, page.html.includes('nango_oauth_callback_error')]).toEqual([400, true]);
    });

    test('a callback works once', async () => {
        const popup = await open();
        const callbackUrl = await consent(popup.authorizationUrl);
        await finishPopup(popup, callbackUrl);
        const again = await fetch(callbackUrl, { headers: { cookie: popup.cookie }, redirect: 'manual' });
        expect(again.status).toBe(400);
        popup.socket.close();
    });

    test('without the cookie of the browser that began it, nothing is connected', async () => {
        const popup = await open();
        const callbackUrl = await consent(popup.authorizationUrl);
        expect((await fetch(callbackUrl, { redirect: 'manual' })).status).toBe(400);
        expect(await popup.socket.outcome()).toMatchObject({ message_type: 'error', error_type: 'state_cookie_err' });
        popup.socket.close();
    });
});
