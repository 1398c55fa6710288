/** GET /health: the process serves. GET /ready: so does its database. */
import { publicEndpoint } from '../authentication.ts';
import { endpoint } from '../endpoint.ts';
import type { Services } from '../services.ts';

export const health = () =>
    endpoint({
        method: 'GET',
        paths: ['/health'],
        summary: 'Liveness',
        authenticate: publicEndpoint,
        scopes: [],
        anyContentType: true,
        handle: () => ({ result: 'ok' }),
    });

/** Migrations have run before the server listens, so the database is all that can be missing. */
export const ready = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/ready'],
        summary: 'Readiness',
        authenticate: publicEndpoint,
        scopes: [],
        anyContentType: true,
        async handle({ reply }) {
            const isReady = !services.isStopping() && (await answers(services));
            return reply.code(isReady ? 200 : 503).send({ result: isReady ? 'ok' : 'not ready' });
        },
    });

const answers = (services: Services): Promise<boolean> =>
    services.database.ping().then(
        () => true,
        () => false,
    );
