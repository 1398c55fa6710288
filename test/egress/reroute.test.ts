/** Simulate mode: which calls go to the twin server, and which do not. */
import { describe, expect, it } from 'vitest';
import { createEgress } from '../../src/egress/egress.ts';
import { simulatedAddress } from '../../src/egress/reroute.ts';
import { systemSources } from '../../src/sources.ts';
import { failureOf, httpServer } from './servers.ts';

async function twinServer() {
    const seen: { method: string; url: string; headers: Record<string, unknown>; body: string }[] = [];
    const server = await httpServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => (body += chunk));
        request.on('end', () => {
            seen.push({ method: request.method!, url: request.url!, headers: request.headers, body });
            response
                .writeHead(request.url === '/away' ? 302 : 200, request.url === '/away' ? { location: 'https://other.example/there' } : {})
                .end('ok');
        });
    });
    const egress = createEgress({
        allow: ['open.example'],
        sources: systemSources,
        userAgent: 'test',
        resolve: () => Promise.reject(Object.assign(new Error('DNS was asked'), { code: 'ENOTFOUND' })),
        reroute: new URL(server.origin),
    });
    return { seen, egress, server };
}

describe('a call in simulate mode', () => {
    it('goes to the twin server as it is, with its origin in a header, and DNS is not asked', async () => {
        const { seen, egress } = await twinServer();
        const response = await egress.request({
            url: 'https://login.salesforce.com/services/oauth2/token?x=1',
            method: 'POST',
            headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: 'Basic aTpz' },
            body: 'grant_type=refresh_token',
        });
        expect(response.status).toBe(200);
        expect(seen).toEqual([
            {
                method: 'POST',
                url: '/services/oauth2/token?x=1',
                headers: expect.objectContaining({ 'x-simulated-origin': 'https://login.salesforce.com', authorization: 'Basic aTpz' }),
                body: 'grant_type=refresh_token',
            },
        ]);
    });

    it('is judged by the same policy before', async () => {
        const { seen, egress } = await twinServer();
        expect(await failureOf(egress.request({ url: 'http://login.salesforce.com/' }))).toMatchObject({
            code: 'blocked_by_policy',
            reason: 'plain_http',
        });
        expect(await failureOf(egress.request({ url: 'https://u:p@login.salesforce.com/' }))).toMatchObject({
            code: 'blocked_by_policy',
            reason: 'userinfo',
        });
        expect(await failureOf(egress.request({ url: 'https://10.0.0.1/' }))).toMatchObject({ code: 'blocked_by_policy' });
        expect(await failureOf(egress.request({ url: 'https://metadata.google.internal/' }))).toMatchObject({ code: 'blocked_by_policy' });
        expect(seen).toEqual([]);
    });

    it('follows redirects by their own origins', async () => {
        const { seen, egress } = await twinServer();
        await egress.request({ url: 'https://acme.example/away', maxRedirects: 1 });
        expect(seen.map(({ url, headers }) => `${headers['x-simulated-origin']}${url}`)).toEqual([
            'https://acme.example/away',
            'https://other.example/there',
        ]);
    });

    it('of hosts that the operator opened is real, and nobody can ask for the twin server itself', async () => {
        const { seen, egress, server } = await twinServer();
        expect(await failureOf(egress.request({ url: 'https://open.example/' }))).toMatchObject({ code: 'dns_failure' });
        expect(await failureOf(egress.request({ url: `${server.origin}/` }))).toMatchObject({ code: 'blocked_by_policy' });
        expect(seen).toEqual([]);
    });
});

it.each([
    ['https://slack.com/oauth/v2/authorize?a=1', 'http://localhost:3103/at/slack.com/oauth/v2/authorize?a=1'],
    ['https://app.apollo.io/#/oauth/authorize?a=1', 'http://localhost:3103/at/app.apollo.io/#/oauth/authorize?a=1'],
    ['https://host.example:8443/x', 'http://localhost:3103/at/host.example:8443/x'],
    ['http://localhost:4000/authorize', 'http://localhost:4000/authorize'],
    ['http://127.0.0.1:4000/authorize', 'http://127.0.0.1:4000/authorize'],
])('the browser finds %s at %s', (address, expected) => {
    expect(simulatedAddress(address, new URL('http://127.0.0.1:3103'))).toBe(expected);
});
