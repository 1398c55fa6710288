import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { systemSources, type Sources } from '../../src/sources.ts';
import { failureOf, httpServer, loopbackEgress, onCleanup, refusingPort, tcpServer } from './servers.ts';

const MEBIBYTE = 1024 * 1024;

describe('a call', () => {
    it('sends method, path, headers and body, and returns status, headers, body, times and peer', async () => {
        let seen = '';
        const server = await httpServer((request, response) => {
            seen = `${request.method} ${request.url} ${JSON.stringify(request.headers)} `;
            request
                .on('data', (chunk) => (seen += chunk))
                .on('end', () => {
                    response.writeHead(418, { 'X-Many': ['a', 'b'], 'Set-Cookie': ['s=1', 't=2'] }).end('{"ok":true}');
                });
        });
        const before = Date.now();
        const response = await loopbackEgress().request({
            url: `${server.origin}/token?x=1#fragment`,
            method: 'POST',
            headers: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: 'Basic aTpz' },
            body: 'grant_type=refresh_token',
        });
        expect(seen).toBe(
            `POST /token?x=1 ${JSON.stringify({
                host: `127.0.0.1:${server.port}`,
                connection: 'keep-alive',
                'user-agent': 'valetkey-test',
                'accept-encoding': 'identity',
                'content-type': 'application/x-www-form-urlencoded',
                authorization: 'Basic aTpz',
                'content-length': '24',
            })} grant_type=refresh_token`,
        );
        expect(response.status).toBe(418);
        expect(response.body.toString()).toBe('{"ok":true}');
        expect(response.headers['x-many']).toBe('a, b');
        expect(response.headers).not.toHaveProperty('set-cookie');
        expect(response.setCookies).toEqual(['s=1', 't=2']);
        expect(response.remoteAddress).toBe('127.0.0.1');
        expect(response.requestedAt).toBeGreaterThanOrEqual(before);
        expect(response.receivedAt).toBeGreaterThanOrEqual(response.requestedAt);
        expect(response.receivedAt).toBeLessThanOrEqual(Date.now());
    });

    it('reads its times from the sources: when the request was written and when the headers came', async () => {
        const server = await httpServer((_request, response) => {
            now = 5_000;
            response.flushHeaders();
            setTimeout(() => {
                now = 9_000;
                response.end('late');
            }, 50);
        });
        let now = 1_000;
        const response = await loopbackEgress({ sources: { ...systemSources, now: () => now } }).request({ url: server.origin });
        expect([response.requestedAt, response.receivedAt, response.body.toString()]).toEqual([1_000, 5_000, 'late']);
    });

    it('lets a caller replace the user agent, in any case', async () => {
        const server = await httpServer((request, response) => response.end(request.headers['user-agent']));
        const response = await loopbackEgress().request({ url: server.origin, headers: { 'USER-Agent': 'mine' } });
        expect(response.body.toString()).toBe('mine');
    });

    it('skips informational responses', async () => {
        const server = await httpServer((_request, response) => {
            response.writeEarlyHints({ link: '</a>; rel=preload' });
            response.end('final');
        });
        const response = await loopbackEgress().request({ url: server.origin });
        expect([response.status, response.body.toString(), response.headers['link']]).toEqual([200, 'final', undefined]);
    });

    it.each([
        [{ 'x-a': 'b\r\nx-injected: 1' }],
        [{ 'x-a': 'b\nc' }],
        [{ 'x-a': 'b\0' }],
        [{ 'x-a\r\nx-injected': '1' }],
        [{ 'x a': '1' }],
        [{ Host: 'other.example' }],
        [{ 'Content-Length': '3' }],
        [{ 'transfer-encoding': 'chunked' }],
        [{ authorization: 'Basic a', Authorization: 'Bearer b' }],
    ])('refuses the headers %j before anything is sent', async (headers) => {
        const server = await httpServer((_request, response) => response.end());
        const error = await failureOf(loopbackEgress().request({ url: server.origin, headers: headers as Record<string, string> }));
        expect(error).toMatchObject({ code: 'invalid_header', neverSent: true, retryable: false });
        expect(error.message).not.toMatch(/injected|Basic|other/);
        expect(server.connections).toHaveLength(0);
    });
});

describe('connections', () => {
    it('are reused for the same origin', async () => {
        const server = await httpServer((_request, response) => response.end('x'));
        const egress = loopbackEgress();
        for (let call = 0; call < 5; call += 1) await egress.request({ url: server.origin, method: 'POST', body: 'b' });
        expect(server.connections).toHaveLength(1);
    });

    it('are not shared by calls at the same time: none waits for another', async () => {
        let arrived = 0;
        const waiting: (() => void)[] = [];
        const server = await httpServer((_request, response) => {
            waiting.push(() => response.end());
            if ((arrived += 1) === 10) waiting.forEach((answer) => answer());
        });
        const egress = loopbackEgress();
        await Promise.all(Array.from({ length: 10 }, () => egress.request({ url: server.origin })));
        expect(server.connections).toHaveLength(10);
    });

    it('are not reused after a call was given up', async () => {
        const server = await httpServer((request, response) => void (request.url === '/slow' || response.end('quick')));
        const egress = loopbackEgress();
        expect((await failureOf(egress.request({ url: `${server.origin}/slow`, deadlineMs: 100 }))).code).toBe('deadline_exceeded');
        expect((await egress.request({ url: server.origin })).body.toString()).toBe('quick');
        expect(server.connections).toHaveLength(2);
    });
});

describe('response size', () => {
    const big = Buffer.alloc(10 * MEBIBYTE, 'a');

    it('accepts a body of exactly the limit and rejects one byte more', async () => {
        const server = await httpServer((request, response) => response.end(big.subarray(0, Number(request.url?.slice(1)))));
        const egress = loopbackEgress();
        expect((await egress.request({ url: `${server.origin}/${MEBIBYTE}` })).body).toHaveLength(MEBIBYTE);
        expect(await failureOf(egress.request({ url: `${server.origin}/${MEBIBYTE + 1}` }))).toMatchObject({
            code: 'response_too_large',
            neverSent: false,
            retryable: false,
        });
    });

    it('stops reading a 10 MiB body', async () => {
        const finished = Promise.withResolvers<boolean>();
        const server = await httpServer((_request, response) => {
            response.on('close', () => finished.resolve(response.writableFinished)).end(big);
        });
        const egress = loopbackEgress();
        expect((await failureOf(egress.request({ url: server.origin, maxResponseBytes: 1000 }))).code).toBe('response_too_large');
        expect(await finished.promise).toBe(false);
    });

    it('cuts it instead when asked', async () => {
        const server = await httpServer((_request, response) => response.end(big));
        const response = await loopbackEgress().request({ url: server.origin, maxResponseBytes: 4096, oversize: 'truncate' });
        expect([response.status, response.body.length]).toEqual([200, 4096]);
    });

    const codings: Record<string, (data: Buffer) => Buffer> = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
    describe.each(Object.entries(codings))('%s, sent although not asked for', (coding, compress) => {
        const serve = (data: Buffer) =>
            httpServer((_request, response) => response.writeHead(200, { 'content-encoding': coding }).end(compress(data)));

        it('is decompressed', async () => {
            const server = await serve(Buffer.from('{"access_token":"t"}'));
            const response = await loopbackEgress().request({ url: server.origin });
            expect(response.body.toString()).toBe('{"access_token":"t"}');
            expect(response.headers).not.toHaveProperty('content-encoding');
            expect(response.headers).not.toHaveProperty('content-length');
        });

        it('is counted after decompression: a bomb is rejected, or cut when asked', async () => {
            const server = await serve(big);
            expect(compress(big).length).toBeLessThan(20_000);
            const egress = loopbackEgress();
            expect((await failureOf(egress.request({ url: server.origin }))).code).toBe('response_too_large');
            const cut = await egress.request({ url: server.origin, maxResponseBytes: 50_000, oversize: 'truncate' });
            expect(cut.body.equals(big.subarray(0, 50_000))).toBe(true);
        });

        it('is cut also where the compressed form is too large', async () => {
            const noise = systemSources.random(100_000);
            const server = await serve(noise);
            const cut = await loopbackEgress().request({ url: server.origin, maxResponseBytes: 50_000, oversize: 'truncate' });
            expect(cut.body.length).toBeGreaterThan(0);
            expect(cut.body.equals(noise.subarray(0, cut.body.length))).toBe(true);
        });

        it('fails when it is not what it says', async () => {
            const server = await httpServer((_request, response) => response.writeHead(200, { 'content-encoding': coding }).end('plain'));
            expect(await failureOf(loopbackEgress().request({ url: server.origin }))).toMatchObject({
                code: 'connection_lost',
                neverSent: false,
            });
        });
    });

    it('hands over a coding it does not know, header and all', async () => {
        const server = await httpServer((_request, response) => response.writeHead(200, { 'content-encoding': 'aes128gcm' }).end('??'));
        const response = await loopbackEgress().request({ url: server.origin });
        expect([response.body.toString(), response.headers['content-encoding']]).toEqual(['??', 'aes128gcm']);
    });

    it('limits the header section', async () => {
        const server = await httpServer((_request, response) => response.writeHead(200, { 'x-long': 'a'.repeat(100_000) }).end());
        expect((await failureOf(loopbackEgress().request({ url: server.origin }))).code).toBe('response_too_large');
    });
});

/** A wait of so many milliseconds is over when `event` is. */
const passesWith = (wait: number, event: Promise<unknown>): Sources => ({
    ...systemSources,
    sleep: (ms, signal) => (ms === wait ? event.then(() => {}) : systemSources.sleep(ms, signal)),
});

describe('the deadline', () => {
    it('ends a body that drips', async () => {
        const dripped = Promise.withResolvers<void>();
        const server = await httpServer((_request, response) => {
            let drops = 0;
            const drip = setInterval(() => {
                response.write('.');
                drops += 1;
                if (drops === 5) dripped.resolve();
            }, 20);
            response.on('close', () => clearInterval(drip));
        });
        const sources = passesWith(300, dripped.promise);
        const error = await failureOf(loopbackEgress({ sources }).request({ url: server.origin, deadlineMs: 300 }));
        expect(error).toMatchObject({ code: 'deadline_exceeded', neverSent: false, retryable: true });
    });

    it('is 20 s for the whole call and is not left running after it', async () => {
        const sleeps: { ms: number; signal: AbortSignal | undefined }[] = [];
        const sources = {
            ...systemSources,
            sleep: (ms: number, signal?: AbortSignal) => {
                sleeps.push({ ms, signal });
                return systemSources.sleep(ms, signal);
            },
        };
        const server = await httpServer((_request, response) => response.end());
        await loopbackEgress({ sources }).request({ url: server.origin });
        expect(sleeps.map(({ ms, signal }) => [ms, signal?.aborted])).toEqual([
            [20_000, true],
            [5_000, true],
        ]);
    });

    it('covers all redirects together', async () => {
        const third = Promise.withResolvers<void>();
        let hops = 0;
        const server = await httpServer((_request, response) => {
            hops += 1;
            if (hops === 3) third.resolve();
            else response.writeHead(302, { location: '/again' }).end();
        });
        const sources = passesWith(250, third.promise);
        const error = await failureOf(loopbackEgress({ sources }).request({ url: server.origin, maxRedirects: 100, deadlineMs: 250 }));
        expect(error.code).toBe('deadline_exceeded');
    });
});

describe('what can have reached the server', () => {
    it('nothing, when the URL is refused; the error names the host', async () => {
        const error = await failureOf(loopbackEgress().request({ url: 'https://[fd00::1]:8443/secret', method: 'POST', body: 'secret' }));
        expect(error).toMatchObject({ host: 'fd00::1', message: 'fd00::1: blocked_by_policy (address)', neverSent: true });
    });

    it('nothing, when the connection was refused', async () => {
        const url = `http://127.0.0.1:${await refusingPort()}/secret-path`;
        expect(await failureOf(loopbackEgress().request({ url, method: 'POST', body: 'code=secret' }))).toMatchObject({
            code: 'connection_failed',
            reason: 'ECONNREFUSED',
            message: '127.0.0.1: connection_failed (ECONNREFUSED)',
            neverSent: true,
            retryable: true,
        });
    });

    it('everything, when the server hangs up after reading the request', async () => {
        const server = await httpServer((request) => void request.resume().on('end', () => request.socket.destroy()));
        const url = `${server.origin}/secret-path`;
        const error = await failureOf(loopbackEgress().request({ url, method: 'POST', body: 'code=secret' }));
        expect(error).toMatchObject({ code: 'connection_lost', neverSent: false, retryable: true });
        expect(JSON.stringify(error) + error.stack).not.toContain('secret');
    });

    it('everything, when the response is cut short', async () => {
        const server = await tcpServer((socket) => {
            socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsecret'));
        });
        const error = await failureOf(loopbackEgress().request({ url: server.origin }));
        expect(error).toMatchObject({ code: 'connection_lost', neverSent: false });
        expect(JSON.stringify(error) + error.stack).not.toContain('secret');
    });

    it('everything, when the answer is not HTTP', async () => {
        const server = await tcpServer((socket) => void socket.once('data', () => socket.end('secret nonsense\r\n\r\n')));
        const error = await failureOf(loopbackEgress().request({ url: server.origin }));
        expect(error).toMatchObject({ code: 'connection_lost', neverSent: false });
        expect(JSON.stringify(error) + error.stack).not.toContain('secret');
    });

    it('a request is written once, even when a reused connection breaks under it', async () => {
        let posts = 0;
        const server = await httpServer((request, response) => {
            if (request.method === 'GET') return void response.end();
            posts += 1;
            request.socket.resetAndDestroy();
        });
        const egress = loopbackEgress();
        await egress.request({ url: server.origin });
        for (const method of ['POST', 'PUT', 'DELETE'] as const) {
            expect(await failureOf(egress.request({ url: server.origin, method, body: 'x' }))).toMatchObject({
                code: 'connection_lost',
                neverSent: false,
            });
        }
        await delay(50);
        expect(posts).toBe(3);
    });
});

describe("the caller's signal", () => {
    it('ends a call in flight', async () => {
        const abort = new AbortController();
        const server = await httpServer(() => abort.abort(new Error('secret')));
        const error = await failureOf(loopbackEgress().request({ url: server.origin, signal: abort.signal }));
        expect(error).toMatchObject({ code: 'aborted', neverSent: false, retryable: false });
        expect(error.message).toBe('127.0.0.1: aborted');
    });

    it('ends a call that waits for DNS, and nothing is sent when the answer comes', async () => {
        const abort = new AbortController();
        const answer = Promise.withResolvers<string[]>();
        let requests = 0;
        const server = await httpServer((_request, response) => {
            requests += 1;
            response.end();
        });
        const egress = loopbackEgress({ allow: ['slow.example'], resolve: () => answer.promise });
        const url = `http://slow.example:${server.port}/`;
        const call = failureOf(egress.request({ url, method: 'POST', body: 'x', signal: abort.signal }));
        await delay(20);
        abort.abort();
        expect(await call).toMatchObject({ code: 'aborted', neverSent: true });
        answer.resolve(['127.0.0.1']);
        await egress.close();
        expect(requests).toBe(0);
    });

    it('already aborted: nothing happens', async () => {
        const server = await httpServer((_request, response) => response.end());
        const error = await failureOf(loopbackEgress().request({ url: server.origin, signal: AbortSignal.abort() }));
        expect(error).toMatchObject({ code: 'aborted', neverSent: true });
        expect(server.connections).toHaveLength(0);
    });
});

describe('close', () => {
    it('waits for calls in flight, redirects included, and refuses new ones', async () => {
        const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        const server = await httpServer(async (request, response) => {
            asked.resolve();
            await released.promise;
            if (request.url === '/') response.writeHead(307, { location: '/next' }).end();
            else response.end('done');
        });
        const egress = loopbackEgress();
        const call = egress.request({ url: `${server.origin}/`, maxRedirects: 1 });
        await asked.promise;
        let closed = false;
        const closing = egress.close().then(() => (closed = true));
        expect(await failureOf(egress.request({ url: server.origin }))).toMatchObject({ code: 'aborted', neverSent: true });
        expect(closed).toBe(false);
        released.resolve();
        expect((await call).body.toString()).toBe('done');
        await closing;
        await egress.close();
        expect(server.connections).toHaveLength(1);
        await expect.poll(() => server.connections[0]?.closed).toBe(true);
    });
});

describe('a process that stood still', () => {
    /** Says when it is asked, and answers a little later, also while the test's own thread does nothing. */
    const answering = `
        const { parentPort } = require('node:worker_threads');
        const server = require('node:http').createServer((request, response) => {
            parentPort.postMessage('asked');
            setTimeout(() => response.end('x'.repeat(300_000)), 50);
        });
        server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;

    it('still reads an answer that came while its deadline passed (R2)', async () => {
        const server = new Worker(answering, { eval: true });
        onCleanup(async () => void (await server.terminate()));
        const [port] = (await once(server, 'message')) as [number];
        const asked = once(server, 'message');
        // It begins to pass when the server was asked, however long that took.
        const deadline = asked.then(() => systemSources.sleep(100));
        const call = loopbackEgress({ sources: passesWith(1_000, deadline) }).request({ url: `http://127.0.0.1:${port}`, deadlineMs: 1_000 });
        await asked;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
        expect((await call).body).toHaveLength(300_000);
    });
});
