/** GET /: who is here. GET /health: the process serves. GET /ready: so does its database. */
import { z } from 'zod';
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
        operationId: 'getServer',
        summary: 'Read name and version',
        description: 'A WebSocket can be opened on this path too: the official browser client learns through it how a popup ended.',
        authenticate: publicEndpoint,
        access: 'anyone',
        anyContentType: true,
        query: anyQuery,
        answers: { 200: z.strictObject({ name: z.literal('Valetkey'), version: z.string() }) },
        handle: () => ({ name: 'Valetkey', version }),
    });

const Healthy = z.strictObject({ result: z.literal('ok') });

/** Probes may add what defeats caches: a healthy process is never told that it asked wrongly. */
export const health = () =>
    endpoint({
        method: 'GET',
        paths: ['/health'],
        tag: 'Server',
        summary: 'Check that the process serves',
        description: 'Answers as soon as requests can be served, whatever the database does.',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 0,
        anyContentType: true,
        query: anyQuery,
        answers: { 200: Healthy },
        handle: () => ({ result: 'ok' }),
    });

/** Migrations have run before the server listens, so the database is all that can be missing. */
export const ready = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/ready'],
        tag: 'Server',
        operationId: 'getReadiness',
        summary: 'Check that the database answers',
        description: 'Tells whether the database answers at present. Turns to 503 when shutdown begins.',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 0,
        anyContentType: true,
        query: anyQuery,
        answers: { 200: Healthy, 503: z.strictObject({ result: z.literal('not ready') }) },
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
