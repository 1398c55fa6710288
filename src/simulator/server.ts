/** The HTTP server in front of the twins. Loopback only: what it gives out is worthless, but it answers anybody. */
import type { IncomingMessage } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { controlRoutes } from './control.ts';
import type { Outcome, Simulator } from './simulator.ts';
import type { TwinRequest } from './twin-request.ts';

/** Where a request was sent before it was turned to the twins. */
export const originHeader = 'x-simulated-origin';

const bodyLimit = 4 * 1024 * 1024;

export function buildTwinServer(simulator: Simulator): FastifyInstance {
    // A provider may have any path, the simulator's own ones too.
    const rewriteUrl = ({ headers, url = '/' }: IncomingMessage): string => (headers[originHeader] === undefined ? url : '/_call');
    const server = fastify({ logger: false, bodyLimit, rewriteUrl });
    server.removeAllContentTypeParsers();
    server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
    // A page of another site must not be able to talk to it by way of a name of its own (DNS rebinding).
    server.addHook('onRequest', async (request, reply) => {
        if (!/^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/.test(request.headers.host ?? '')) {
            await reply.code(421).send({ error: 'misdirected_request', error_description: 'The twins answer on this machine only.' });
        }
    });
    server.register(controlRoutes, { simulator });
    server.setNotFoundHandler(async (request, reply) => {
        const target = targetOf(request);
        if (target === undefined) {
            return reply.code(404).send({ error: 'not_found', error_description: `Twins are called with ${originHeader}, or at /at/<host>/<path>.` });
        }
        return send(request, reply, await simulator.answer(target), simulator);
    });
    return server;
}

/** The request in its sender's eyes. */
function targetOf(request: FastifyRequest): TwinRequest | undefined {
    const { [originHeader]: origin, ...rest } = request.headers;
    const [, host, path = ''] = /^\/at\/([^/?#]+)(.*)$/.exec(request.url) ?? [];
    const address =
        typeof origin === 'string'
            ? `${origin}${request.originalUrl}`
            : host === undefined
              ? undefined
              : `https://${decodeURIComponent(host)}${path === '' ? '/' : path}`;
    const url = address === undefined ? null : URL.parse(address);
    if (url === null) return undefined;
    const headers = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, [value].flat().join(', ')]));
    return { method: request.method, url, headers: { ...headers, host: url.host }, body: typeof request.body === 'string' ? request.body : '' };
}

async function send(request: FastifyRequest, reply: FastifyReply, outcome: Outcome, simulator: Simulator): Promise<FastifyReply> {
    if (outcome.isLost) {
        request.raw.socket.destroy();
        return reply.hijack();
    }
    const { status, headers = {}, body = '' } = outcome;
    reply.code(status).header('date', new Date(simulator.world.now() + outcome.skewMs).toUTCString());
    for (const [name, value] of Object.entries(headers)) reply.header(name, value);
    if (typeof body === 'string') {
        if (headers['content-type'] === undefined && body !== '') reply.type('text/plain; charset=utf-8');
        return reply.send(body);
    }
    if (headers['content-type'] === undefined) reply.type('application/json; charset=utf-8');
    return reply.send(JSON.stringify(body));
}
