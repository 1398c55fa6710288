import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Resolve } from '../../src/egress/egress.ts';
import { systemSources } from '../../src/sources.ts';
import type { Sources } from '../../src/sources.ts';
import { selfSigned } from './certificate.ts';
import { failureOf, httpServer, httpsServer, loopbackEgress, onCleanup, tcpServer, trust } from './servers.ts';

const trusted = selfSigned(['pinned.example', '127.0.0.1']);
beforeEach(() => trust(trusted));

/** Answers in turn, the last one again and again. */
function answering(...answers: string[][]): { resolve: Resolve; asked: string[] } {
    const asked: string[] = [];
    return {
        asked,
        resolve: (hostname) => {
            asked.push(hostname);
            return Promise.resolve(answers[Math.min(asked.length, answers.length) - 1] ?? []);
        },
    };
}

describe('DNS', () => {
    it('is asked once per connection, and the connection goes to the answer that was checked', async () => {
        const server = await httpsServer(trusted, (_request, response) => response.end('pinned'));
        const { resolve, asked } = answering(['127.0.0.1'], ['127.0.0.2']);
        const egress = loopbackEgress({ resolve });
        for (let call = 0; call < 2; call += 1) {
            const response = await egress.request({ url: `https://pinned.example:${server.port}/` });
            expect([response.body.toString(), response.remoteAddress]).toEqual(['pinned', '127.0.0.1']);
        }
        expect(asked).toEqual(['pinned.example']);
        expect(server.connections).toHaveLength(1);
    });

    it('is checked again for each new connection: a name that moves to a blocked address is blocked', async () => {
        const server = await httpsServer(trusted, (_request, response) => response.writeHead(200, { connection: 'close' }).end());
        const { resolve, asked } = answering(['127.0.0.1'], ['10.0.0.1']);
        const egress = loopbackEgress({ resolve });
        const url = `https://pinned.example:${server.port}/`;
        expect((await egress.request({ url })).status).toBe(200);
        expect(await failureOf(egress.request({ url }))).toMatchObject({ code: 'blocked_by_policy', reason: 'address', neverSent: true });
        expect(asked).toHaveLength(2);
    });

    it.each([
        [['127.0.0.1', '10.0.0.1']],
        [['10.0.0.1', '127.0.0.1']],
        [['127.0.0.1', '::1']],
        [['127.0.0.1', '::ffff:192.168.0.1']],
        [['127.0.0.1', 'not an address']],
        [['127.0.0.1', '010.0.0.1']],
    ])('one blocked answer blocks the host: %j', async (answers) => {
        const server = await httpsServer(trusted, (_request, response) => response.end());
        const egress = loopbackEgress({ resolve: answering(answers).resolve });
        const error = await failureOf(egress.request({ url: `https://pinned.example:${server.port}/` }));
        expect(error).toMatchObject({ code: 'blocked_by_policy', host: 'pinned.example', neverSent: true, retryable: false });
        expect(server.connections).toHaveLength(0);
    });

    it('a host opened by name may resolve to anything, and is reached over plain http', async () => {
        const server = await httpServer((request, response) => response.end(request.headers.host));
        const egress = loopbackEgress({ allow: ['app.internal'], resolve: answering(['127.0.0.1']).resolve });
        const response = await egress.request({ url: `http://App.Internal.:${server.port}/` });
        expect(response.body.toString()).toBe(`app.internal:${server.port}`);
    });

    it('is not asked for localhost, nor for addresses', async () => {
        const server = await httpServer((_request, response) => response.end());
        const { resolve, asked } = answering(['10.0.0.1']);
        const egress = loopbackEgress({ resolve });
        for (const host of ['localhost', 'app.localhost', '127.0.0.1']) {
            expect((await egress.request({ url: `http://${host}:${server.port}/` })).remoteAddress).toBe('127.0.0.1');
        }
        expect(asked).toEqual([]);
    });

    it('the next address is tried when the first refuses', async () => {
        const server = await httpsServer(trusted, (_request, response) => response.end());
        const egress = loopbackEgress({ resolve: answering(['127.0.0.9', '127.0.0.1']).resolve });
        expect((await egress.request({ url: `https://pinned.example:${server.port}/` })).remoteAddress).toBe('127.0.0.1');
    });

    it('failing, or without an answer, is dns_failure', async () => {
        const failing = loopbackEgress({
            resolve: () => Promise.reject(Object.assign(new Error('secret'), { code: 'ENOTFOUND' })),
        });
        expect(await failureOf(failing.request({ url: 'https://api.example.com/' }))).toMatchObject({
            code: 'dns_failure',
            message: 'api.example.com: dns_failure (ENOTFOUND)',
            neverSent: true,
            retryable: true,
        });
        const empty = loopbackEgress({ resolve: answering([]).resolve });
        expect((await failureOf(empty.request({ url: 'https://api.example.com/' }))).code).toBe('dns_failure');
    });

    it("is the system's by default", async () => {
        const error = await failureOf(loopbackEgress().request({ url: 'https://no-such-host.invalid/' }));
        expect(error).toMatchObject({ code: 'dns_failure', neverSent: true });
    });
});

describe('TLS', () => {
    it('verifies a literal address against the certificate too', async () => {
        const server = await httpsServer(trusted, (_request, response) => response.end('ok'));
        expect((await loopbackEgress().request({ url: server.origin })).body.toString()).toBe('ok');
    });

    it.each([
        ['an unknown authority', selfSigned(['pinned.example']), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
        ['another name', trusted, 'ERR_TLS_CERT_ALTNAME_INVALID', 'other.example'],
    ])('refuses %s before the request is sent', async (_case, certificate, reason, host = 'pinned.example') => {
        let requests = 0;
        const server = await httpsServer(certificate, (_request, response) => {
            requests += 1;
            response.end();
        });
        const egress = loopbackEgress({ resolve: answering(['127.0.0.1']).resolve });
        const error = await failureOf(egress.request({ url: `https://${host}:${server.port}/secret`, method: 'POST', body: 'secret' }));
        expect(error).toMatchObject({ code: 'tls_failure', reason, host, neverSent: true, retryable: false });
        expect(requests).toBe(0);
    });

    it('is verified even when the environment says otherwise', async () => {
        process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
        onCleanup(() => void delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
        const server = await httpsServer(selfSigned(['127.0.0.1']), (_request, response) => response.end());
        expect((await failureOf(loopbackEgress().request({ url: server.origin }))).code).toBe('tls_failure');
    });

    it('refuses an expired certificate', async () => {
        const expired = selfSigned(['127.0.0.1'], '210101000000Z');
        trust(expired);
        const server = await httpsServer(expired, (_request, response) => response.end());
        expect(await failureOf(loopbackEgress().request({ url: server.origin }))).toMatchObject({
            code: 'tls_failure',
            reason: 'CERT_HAS_EXPIRED',
        });
    });

    it('to a server that does not speak it is tls_failure; a hang-up is connection_failed', async () => {
        const plain = await httpServer((_request, response) => response.end());
        const hangUp = await tcpServer((socket) => socket.destroy());
        const egress = loopbackEgress();
        expect(await failureOf(egress.request({ url: `https://127.0.0.1:${plain.port}/` }))).toMatchObject({
            code: 'tls_failure',
            neverSent: true,
        });
        expect(await failureOf(egress.request({ url: `https://127.0.0.1:${hangUp.port}/` }))).toMatchObject({
            code: 'connection_failed',
            neverSent: true,
            retryable: true,
        });
    });
});

describe('the connect timeout', () => {
    /** The 5 s pass in 100 ms; the deadline stays as it is. */
    const hurried: Sources = { ...systemSources, sleep: (ms, signal) => systemSources.sleep(ms === 5_000 ? 100 : ms, signal) };
    const expected = { code: 'connect_timeout', neverSent: true, retryable: true };

    it('covers a host that does not answer', async () => {
        const port = await fullBacklog();
        expect(await failureOf(loopbackEgress({ sources: hurried }).request({ url: `http://127.0.0.1:${port}/` }))).toMatchObject(expected);
    });

    it('covers a TLS handshake that does not begin', async () => {
        const server = await tcpServer(() => {});
        const egress = loopbackEgress({ sources: hurried });
        expect(await failureOf(egress.request({ url: `https://127.0.0.1:${server.port}/` }))).toMatchObject(expected);
        await expect.poll(() => server.connections.length).toBe(1);
    });

    it('covers a resolver that does not answer', async () => {
        const egress = loopbackEgress({ sources: hurried, resolve: () => new Promise(() => {}) });
        expect(await failureOf(egress.request({ url: 'https://api.example.com/' }))).toMatchObject(expected);
    });

    it('is final: a late DNS answer opens no connection', async () => {
        const server = await tcpServer(() => {});
        const answer = Promise.withResolvers<string[]>();
        const egress = loopbackEgress({ sources: hurried, resolve: () => answer.promise });
        expect(await failureOf(egress.request({ url: `https://pinned.example:${server.port}/` }))).toMatchObject(expected);
        answer.resolve(['127.0.0.1']);
        await systemSources.sleep(50);
        expect(server.connections).toHaveLength(0);
    });

    it('gives way to a shorter deadline', async () => {
        const egress = loopbackEgress({ sources: hurried, resolve: () => new Promise(() => {}) });
        expect(await failureOf(egress.request({ url: 'https://api.example.com/', deadlineMs: 20 }))).toMatchObject({
            code: 'deadline_exceeded',
            neverSent: true,
            retryable: true,
        });
    });
});

/** A port where the (Linux) kernel drops new connections: a listener that never accepts, its queue filled. */
async function fullBacklog(): Promise<number> {
    const worker = new Worker(
        `const { parentPort } = require('node:worker_threads');
        const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
            parentPort.postMessage(server.address().port);
            setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
        });`,
        { eval: true },
    );
    onCleanup(() => void worker.terminate());
    const port = await new Promise<number>((resolve) => worker.once('message', resolve));
    const fillers = Array.from({ length: 8 }, () => connect({ port, host: '127.0.0.1' }).on('error', () => {}));
    onCleanup(() => fillers.forEach((socket) => socket.destroy()));
    await systemSources.sleep(100);
    return port;
}
