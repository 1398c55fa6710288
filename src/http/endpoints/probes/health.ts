/** GET /: who is here. GET /health: the process serves. GET /ready: so does its database. */
import { version } from '../../../version.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';

/** For the person who opens the address in a browser; the outcome socket shares this path. */
export const root = () =>
    endpoint({
        method: 'GET',
        paths: ['/'],
        tag: 'Server',
        summary: 'What answers here',
        authenticate: publicEndpoint,
        access: 'anyone',
        anyContentType: true,
        query: anyQuery,
        handle: () => ({ name: 'Valetkey', version }),
    });

/** Probes may add what defeats caches: a healthy process is never told that it asked wrongly. */
export const health = () =>
    endpoint({
        method: 'GET',
        paths: ['/health'],
        tag: 'Server',
        summary: 'Liveness',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 0,
        anyContentType: true,
        query: anyQuery,
        handle: () => ({ result: 'ok' }),
    });

/** Migrations have run before the server listens, so the database is all that can be missing. */
export const ready = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/ready'],
        tag: 'Server',
        summary: 'Readiness',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 0,
        anyContentType: true,
        query: anyQuery,
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
