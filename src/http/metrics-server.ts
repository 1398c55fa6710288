/** `GET /metrics` on a port of its own, for a scraper inside the network: no authentication, and nothing else answers here. */
import { fastify, type FastifyInstance } from 'fastify';

export function buildMetricsServer(metrics: { readonly contentType: string; text(): Promise<string> }): FastifyInstance {
    const server = fastify({ logger: false, forceCloseConnections: true, requestTimeout: 10_000 });
    server.get('/metrics', async (_request, reply) => {
        const text = await metrics.text();
        return reply.header('content-type', metrics.contentType).header('cache-control', 'no-store').send(text);
    });
    return server;
}
