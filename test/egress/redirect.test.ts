import type { RequestListener } from 'node:http';
import { describe, expect, it } from 'vitest';
import { selfSigned } from './certificate.ts';
import { failureOf, httpServer, httpsServer, loopbackEgress, trust } from './servers.ts';
import type { Listening } from './servers.ts';

interface Seen {
    method: string | undefined;
    url: string | undefined;
    headers: Record<string, unknown>;
    body: string;
}

function recorder(seen: Seen[], answer: RequestListener): Promise<Listening> {
    return httpServer((request, response) => {
        let body = '';
        request
            .on('data', (chunk) => (body += chunk))
            .on('end', () => {
                seen.push({ method: request.method, url: request.url, headers: request.headers, body });
                answer(request, response);
            });
    });
}

/** `/` answers with the redirect, everything else with what was asked. */
async function redirecting(status: number, location: string): Promise<{ server: Listening; seen: Seen[] }> {
    const seen: Seen[] = [];
    const server = await recorder(seen, (request, response) => {
        if (request.url === '/') response.writeHead(status, { location }).end();
        else response.end('arrived');
    });
    return { server, seen };
}

describe('redirects', () => {
    it.each([301, 302, 303, 307, 308])('%i is the response itself unless redirects are allowed', async (status) => {
        const { server, seen } = await redirecting(status, '/next');
        const response = await loopbackEgress().request({ url: server.origin, method: 'POST', body: 'refresh_token=secret' });
        expect([response.status, response.headers['location']]).toEqual([status, '/next']);
        expect(seen).toHaveLength(1);
    });

    it.each([307, 308])('%i keeps method, body and, on the same origin, headers', async (status) => {
        const { server, seen } = await redirecting(status, '/next?x=1');
        const headers = { authorization: 'Bearer t', 'content-type': 'text/plain' };
        const response = await loopbackEgress().request({ url: server.origin, method: 'POST', body: 'event', headers, maxRedirects: 3 });
        expect(response.body.toString()).toBe('arrived');
        expect(seen[1]).toMatchObject({ method: 'POST', url: '/next?x=1', body: 'event', headers });
        expect(server.connections).toHaveLength(1);
    });

    it.each([301, 302, 303])('%i is followed for GET and refused for POST', async (status) => {
        const { server, seen } = await redirecting(status, '/next');
        const egress = loopbackEgress();
        expect((await egress.request({ url: server.origin, maxRedirects: 1 })).body.toString()).toBe('arrived');
        expect(await failureOf(egress.request({ url: server.origin, method: 'POST', body: 'x', maxRedirects: 1 }))).toMatchObject({
            code: 'redirect_refused',
            reason: 'method',
            neverSent: false,
            retryable: false,
        });
        expect(seen).toHaveLength(3);
    });

    it('another origin sees only a safe list of headers', async () => {
        const seen: Seen[] = [];
        const other = await recorder(seen, (_request, response) => response.end());
        const { server } = await redirecting(307, `${other.origin}/hook`);
        await loopbackEgress().request({
            url: server.origin,
            method: 'POST',
            body: 'event',
            headers: {
                Authorization: 'Bearer t',
                Cookie: 'a=b',
                'X-Api-Key': 'k',
                'Webhook-Signature': 'v1,s',
                'X-Nango-Hmac-Sha256': 'h',
                'Content-Type': 'application/json',
                Accept: 'application/json',
            },
            maxRedirects: 1,
        });
        expect(seen[0]?.headers).toEqual({
            host: `127.0.0.1:${other.port}`,
            connection: 'keep-alive',
            'user-agent': 'valetkey-test',
            'accept-encoding': 'identity',
            'content-type': 'application/json',
            accept: 'application/json',
            'content-length': '5',
        });
    });

    it('never leads from https to http, even on a host that is open for http; the other way is fine', async () => {
        const certificate = selfSigned(['127.0.0.1']);
        trust(certificate);
        const plain = await httpServer((_request, response) => response.writeHead(302, { location: `${secure.origin}/arrived` }).end());
        const secure = await httpsServer(certificate, (request, response) => {
            if (request.url === '/arrived') response.end('arrived');
            else response.writeHead(307, { location: plain.origin }).end();
        });
        const egress = loopbackEgress();
        expect((await egress.request({ url: plain.origin, maxRedirects: 3 })).body.toString()).toBe('arrived');
        expect(await failureOf(egress.request({ url: secure.origin, maxRedirects: 3 }))).toMatchObject({
            code: 'redirect_refused',
            reason: 'downgrade',
            neverSent: false,
        });
        expect(plain.connections).toHaveLength(1);
    });

    it('stops after maxRedirects', async () => {
        const seen: Seen[] = [];
        const server = await recorder(seen, (_request, response) => response.writeHead(302, { location: '/again' }).end());
        expect(await failureOf(loopbackEgress().request({ url: server.origin, maxRedirects: 3 }))).toMatchObject({
            code: 'redirect_refused',
            reason: 'too_many',
        });
        expect(seen).toHaveLength(4);
    });

    it.each([
        ['http://10.0.0.1/', '10.0.0.1', 'address'],
        ['//[::ffff:169.254.169.254]/latest', '169.254.169.254', 'address'],
        ['https://0x0a000001/', '10.0.0.1', 'address'],
        ['https://metadata.google.internal/', 'metadata.google.internal', 'name'],
        ['http://api.example.com/', 'api.example.com', 'plain_http'],
        ['https://u:p@api.example.com/', 'api.example.com', 'userinfo'],
        ['file://host.example/etc/passwd', 'host.example', 'scheme'],
        ['https://rebind.example/', 'rebind.example', 'address'],
    ])('each hop is judged again: %s', async (location, host, reason) => {
        const { server } = await redirecting(307, location);
        const egress = loopbackEgress({ resolve: () => Promise.resolve(['8.8.8.8', '192.168.1.1']) });
        const error = await failureOf(egress.request({ url: server.origin, method: 'POST', body: 'x', maxRedirects: 3 }));
        // The first hop was sent, so the call as a whole was.
        expect(error).toMatchObject({ code: 'blocked_by_policy', reason, neverSent: false });
        expect(error.host.replace('::ffff:a9fe:a9fe', '169.254.169.254')).toBe(host);
    });

    it.each([300, 304])('%i, and a redirect without location, are responses', async (status) => {
        const server = await httpServer((request, response) => {
            response.writeHead(request.url === '/bare' ? 302 : status, request.url === '/bare' ? {} : { location: '/next' }).end();
        });
        const egress = loopbackEgress();
        expect((await egress.request({ url: `${server.origin}/`, maxRedirects: 1 })).status).toBe(status);
        expect((await egress.request({ url: `${server.origin}/bare`, maxRedirects: 1 })).status).toBe(302);
    });

    it('a location that is no URL is refused', async () => {
        const { server } = await redirecting(302, 'https://[secret');
        const error = await failureOf(loopbackEgress().request({ url: server.origin, maxRedirects: 1 }));
        expect(error).toMatchObject({ code: 'redirect_refused', reason: 'location' });
        expect(error.message).not.toContain('secret');
    });
});
