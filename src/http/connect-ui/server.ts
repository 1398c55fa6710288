/** The Connect UI at the root of a port of its own: older clients can embed it nowhere else (frontend contract §1.1). */
import { fastify, type FastifyInstance } from 'fastify';
import type { Sources } from '../../sources.ts';
import { errorHandler, notFound } from '../errors.ts';
import { securityHeaders } from '../security-headers.ts';
import type { ConnectUiPage } from './page.ts';

export function buildConnectUiServer(page: ConnectUiPage, sources: Sources): FastifyInstance {
    const server = fastify({ logger: false, forceCloseConnections: true, requestTimeout: 10_000 });
    server.setErrorHandler(errorHandler(sources));
    server.setNotFoundHandler(notFound);
    server.addHook('onRequest', (_request, reply, done) => {
        reply.headers(securityHeaders);
        done();
    });
    server.get('/', (request, reply) => page.sendDocument(request, reply, ''));
    server.get('/assets/:file', (request, reply) => page.sendAsset(request, reply, (request.params as { file: string }).file));
    return server;
}
