/**
 * A provider with a face: a consent page that waits for its user, then `faulty-token-server.ts`; and accounts that API keys and
 * passwords open (`GET /me`). At 127.0.0.2, another site than everything else, so that a browser keeps them apart.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { startFaultyTokenServer, type FaultyTokenServer } from './faulty-token-server.ts';
import { listen } from './http-server.ts';

export interface ConsentServer {
    url: string;
    /** Shows `#approve` and `#deny`, whatever comes. */
    authorizationEndpoint: string;
    tokenEndpoint: string;
    /** Issues the tokens; its faults are the provider's. */
    tokens: FaultyTokenServer;
    /** Queries with which browsers came to the consent page, oldest first. */
    visits: URLSearchParams[];
    /** What opens an account. */
    account: { apiKey: string; username: string; password: string };
    /** Sent with the consent page from now on, for example `cross-origin-opener-policy`. */
    sendHeaders(headers: Record<string, string>): void;
    close(): Promise<void>;
}

export async function startConsentServer(host = '127.0.0.2'): Promise<ConsentServer> {
    const tokens = await startFaultyTokenServer(host);
    const account = { apiKey: 'an-account-key-0001', username: 'ann', password: 'a-password-0001' };
    const isKnown = new Set([
        `Bearer ${account.apiKey}`,
        ...[account.password, ''].map((password) => `Basic ${Buffer.from(`${account.username}:${password}`).toString('base64')}`),
    ]);
    const visits: URLSearchParams[] = [];
    let extra: Record<string, string> = {};

    function serve(request: IncomingMessage, response: ServerResponse): void {
        const { pathname, search, searchParams } = new URL(request.url ?? '/', `http://${host}`);
        if (pathname === '/me') {
            const status = isKnown.has(request.headers.authorization ?? '') ? 200 : 401;
            response.writeHead(status, { 'content-type': 'application/json' }).end(status === 200 ? '{}' : '{"error":"bad credentials"}');
        } else if (pathname === '/consent') {
            visits.push(searchParams);
            response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', ...extra });
            response.end(consentPage(tokens.authorizationEndpoint + search, refusal(searchParams)));
        } else {
            response.writeHead(404).end();
        }
    }

    const server = await listen(serve, host);
    const url = `http://${host}:${server.port}`;
    return {
        url,
        authorizationEndpoint: `${url}/consent`,
        tokenEndpoint: tokens.tokenEndpoint,
        tokens,
        visits,
        account,
        sendHeaders: (headers) => {
            extra = headers;
        },
        close: async () => {
            await Promise.all([server.close(), tokens.close()]);
        },
    };
}

/** RFC 6749 §4.1.2.1. */
function refusal(query: URLSearchParams): string {
    const answer = new URLSearchParams({ error: 'access_denied', error_description: 'The account owner refused', state: query.get('state') ?? '' });
    return `${query.get('redirect_uri') ?? ''}?${answer.toString()}`;
}

const consentPage = (approve: string, deny: string): string => `<!doctype html>
<html lang="en">
    <meta charset="utf-8">
    <title>Allow access?</title>
    <h1>Allow access?</h1>
    <a id="approve" href="${attribute(approve)}">Approve</a>
    <a id="deny" href="${attribute(deny)}">Deny</a>
</html>`;

const attribute = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
