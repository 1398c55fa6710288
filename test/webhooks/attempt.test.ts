/** One attempt, through the real egress at real servers: what is sent, what is kept, and where nothing is sent (W11–W13, W15). */
import { createServer, type Server, type Socket } from 'node:net';
import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { createEgress, type Egress, type Resolve } from '../../src/egress/egress.ts';
import { systemSources } from '../../src/sources.ts';
import { attempt, longestBody, type Attempt, type EventToSend } from '../../src/webhooks/attempt.ts';
import { newSigningKeys } from '../../src/webhooks/signature.ts';
import { listen } from '../peers/http-server.ts';
import { startWebhookReceiver } from '../peers/webhook-receiver.ts';

const keys = [newSigningKeys(systemSources)];
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) {
        await cleanup();
    }
});

function egress(options: { allow?: string[]; resolve?: Resolve } = {}): Egress {
    const made = createEgress({ allow: ['127.0.0.0/8'], sources: systemSources, userAgent: 'valetkey/test', ...options });
    cleanups.push(() => made.close());
    return made;
}

const event = (overrides: Partial<EventToSend> = {}): EventToSend => ({
    id: 'msg_01KDVDNQ80ZQ6V2J6D2Y2W7R4T',
    createdAt: new Date('2026-01-01T00:00:00.000Z'),
    body: '{"type":"auth"}',
    sequence: null,
    isRedelivery: false,
    followRedirects: true,
    ...overrides,
});

const send = (url: string, options: { egress?: Egress; event?: EventToSend } = {}): Promise<Attempt> =>
    attempt({ egress: options.egress ?? egress(), sources: systemSources }, url, keys, options.event ?? event());

async function answering(listener: RequestListener): Promise<string> {
    const server = await listen(listener);
    cleanups.push(() => server.close());
    return `http://127.0.0.1:${server.port}/hook`;
}

describe('headers', () => {
    test.each<[Partial<EventToSend>, string | undefined, string | undefined]>([
        [{}, undefined, undefined],
        [{ sequence: 7 }, '7', undefined],
        [{ sequence: 1, isRedelivery: true }, '1', 'true'],
    ])('of %j', async (overrides, sequence, redelivery) => {
        const receiver = await startWebhookReceiver();
        cleanups.push(() => receiver.close());
        await send(receiver.url, { event: event(overrides) });
        const { headers } = receiver.deliveries[0]!;
        expect(headers['x-valetkey-created-at']).toBe('2026-01-01T00:00:00.000Z');
        expect([headers['x-valetkey-sequence'], headers['x-valetkey-redelivery']]).toEqual([sequence, redelivery]);
    });
});

describe('what is kept of an answer (W11)', () => {
    test('status, address, headers of the allow-list and the text', async () => {
        const url = await answering((_request, response) => {
            response.writeHead(503, { 'content-type': 'text/plain', 'set-cookie': 'session=s3cret', 'x-api-key': 's3cret', 'x-request-id': 'r-1' });
            response.end('down for\0maintenance');
        });
        const made = await send(url);
        expect(made).toMatchObject({
            status: 503,
            error: 'http_503',
            resolvedIp: '127.0.0.1',
            responseBody: 'down for\uFFFDmaintenance',
            responseHeaders: { 'content-type': 'text/plain', 'x-request-id': 'r-1' },
        });
        expect(JSON.stringify(made)).not.toContain('s3cret');
    });

    test('the first 4 KB, cut between characters; of bytes that are no text, something storable', async () => {
        const long = await send(await answering((_request, response) => void response.end(`a${'é'.repeat(5000)}`)));
        expect(long.responseBody).toBe(`a${'é'.repeat(2047)}`);
        const binary = await send(await answering((_request, response) => void response.end(Buffer.from([0xff, 0xfe, 0x41, 0x00]))));
        expect(binary.responseBody).toBe('\uFFFD\uFFFDA\uFFFD');
        expect(await send(await answering((_request, response) => void response.writeHead(204).end()))).toMatchObject({
            error: null,
            responseBody: null,
        });
    });

    test('of an answer without an end 64 KB are read, and its status counts (W13)', async () => {
        let written = 0;
        const url = await answering((_request, response) => {
            const more = (): void => {
                while (!response.destroyed && response.write(Buffer.alloc(16_384, 'x'))) written += 16_384;
            };
            response.on('drain', more);
            more();
        });
        expect(await send(url)).toMatchObject({ status: 200, error: null });
        expect(written).toBeGreaterThan(0);
    });

    test('the address of a server that hung up in the middle', async () => {
        const url = await answering((_request, response) => void response.socket!.destroy());
        expect(await send(url)).toMatchObject({ status: null, error: 'connection_lost', resolvedIp: '127.0.0.1', responseBody: null });
    });
});

describe('redirects (W13)', () => {
    test('three are followed with method and body, a fourth is not', async () => {
        const seen: string[] = [];
        const hops = (last: number) =>
            answering((request, response) => {
                const hop = Number(new URL(request.url!, 'http://h').searchParams.get('hop') ?? 0);
                let body = '';
                request.on('data', (chunk: Buffer) => (body += chunk.toString()));
                request.on('end', () => {
                    seen.push(`${request.method} ${hop} ${body}`);
                    response.writeHead(hop < last ? 307 : 200, hop < last ? { location: `/hook?hop=${hop + 1}` } : {}).end();
                });
            });
        expect(await send(await hops(3))).toMatchObject({ status: 200, error: null });
        expect(seen).toEqual([0, 1, 2, 3].map((hop) => `POST ${hop} {"type":"auth"}`));
        expect(await send(await hops(4))).toMatchObject({ status: null, error: 'redirect_refused' });
    });

    test('none is followed where the endpoint says so', async () => {
        const url = await answering((_request, response) => void response.writeHead(307, { location: '/other' }).end());
        expect(await send(url, { event: event({ followRedirects: false }) })).toMatchObject({ status: 307, error: 'http_307' });
    });

    test('one that would turn the POST into a GET is refused', async () => {
        const url = await answering((_request, response) => void response.writeHead(302, { location: '/other' }).end());
        expect(await send(url)).toMatchObject({ status: null, error: 'redirect_refused' });
    });

    test('each hop goes through the policy', async () => {
        const url = await answering((_request, response) => void response.writeHead(307, { location: 'http://10.0.0.1/' }).end());
        expect(await send(url)).toMatchObject({ status: null, error: 'blocked_by_policy' });
    });
});

test('a body beyond 256 KB is not sent (W13)', async () => {
    const receiver = await startWebhookReceiver();
    cleanups.push(() => receiver.close());
    const most = JSON.stringify('x'.repeat(longestBody - 2));
    expect(await send(receiver.url, { event: event({ body: most }) })).toMatchObject({ status: 200 });
    expect(await send(receiver.url, { event: event({ body: `${most} ` }) })).toMatchObject({ status: null, error: 'body_too_large' });
    expect(receiver.deliveries).toHaveLength(1);
});

describe('addresses that policy forbids are never connected to (W15, §9 no. 10)', () => {
    /** Counts who comes, on every loopback address. */
    async function trap(): Promise<{ port: number; connections: () => number }> {
        let connections = 0;
        const server: Server = createServer((socket: Socket) => {
            connections += 1;
            socket.destroy();
        });
        await new Promise<void>((resolve) => void server.listen(0, resolve));
        cleanups.push(() => new Promise((resolve) => void server.close(resolve)));
        return { port: (server.address() as { port: number }).port, connections: () => connections };
    }

    test.each(['127.0.0.1', '10.0.0.1', '::ffff:169.254.169.254', '169.254.169.254', '::1'])('a name that resolves to %s', async (address) => {
        const { port, connections } = await trap();
        const closed = egress({ allow: [], resolve: () => Promise.resolve([address]) });
        expect(await send(`https://hooks.example.com:${port}/`, { egress: closed })).toMatchObject({
            status: null,
            error: 'blocked_by_policy',
            resolvedIp: null,
        });
        expect(connections()).toBe(0);
    });

    test.each(['http://127.0.0.1/', 'https://10.0.0.1/', 'https://[::ffff:169.254.169.254]/', 'https://localhost/'])('%s itself', async (url) => {
        expect(await send(url, { egress: egress({ allow: [] }) })).toMatchObject({ error: 'blocked_by_policy' });
    });

    test('a forbidden address beside an allowed one', async () => {
        const { port, connections } = await trap();
        const mixed = egress({ resolve: () => Promise.resolve(['127.0.0.1', '10.0.0.1']) });
        expect(await send(`https://hooks.example.com:${port}/`, { egress: mixed })).toMatchObject({ error: 'blocked_by_policy' });
        expect(connections()).toBe(0);
    });

    test('a name is resolved once per connection, which goes to the address that was judged; the next attempt judges anew', async () => {
        const { port, connections } = await trap();
        // 127.0.0.1 is allowed here and stands for a public address; the rebound one is not.
        const answers = [['127.0.0.1'], ['127.0.0.2'], ['127.0.0.1']];
        let asked = 0;
        const rebinding = egress({ allow: ['127.0.0.1/32'], resolve: () => Promise.resolve(answers[asked++]!) });
        const url = `https://hooks.example.com:${port}/`;
        const errors = [];
        for (const _ of answers) {
            errors.push((await send(url, { egress: rebinding })).error);
        }
        // The trap hangs up during the handshake: it was reached, where that is allowed, and only there.
        expect(errors).toEqual(['connection_failed', 'blocked_by_policy', 'connection_failed']);
        expect([asked, connections()]).toEqual([3, 2]);
    });
});
