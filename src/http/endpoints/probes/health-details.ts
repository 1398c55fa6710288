/** GET /health/details (O5): what a person on call asks first. */
import { z } from 'zod';
import { readMigrationState } from '../../../store/migrate.ts';
import { mostCounted, readWorkLag } from '../../../store/work-lag.ts';
import { version } from '../../../version.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';

const Lag = z.object({
    overdue: z.int().describe(`How many are due and not done; ${mostCounted} stands for more`),
    oldestOverdueMs: z.number().describe('How long the oldest of them has been due'),
});

export const healthDetails = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/health/details'],
        tag: 'Server',
        operationId: 'getHealthDetails',
        summary: 'Read how far the workers are behind, and which migrations the database has',
        description:
            'Of the whole installation, not of one environment, because environments share the workers: overdue renewals, webhook deliveries and hooks, and the database.',
        authenticate: apiKey(services),
        access: ['environment:settings:read'],
        answers: {
            200: z.object({
                version: z.string(),
                database: z.object({
                    kind: z.enum(['postgres', 'embedded']),
                    latencyMs: z.number(),
                    clockAheadMs: z.number().describe('How far its clock is ahead of this process’s, which is allowed for'),
                }),
                migrations: z.object({
                    applied: z.int(),
                    newest: z
                        .string()
                        .nullable()
                        .describe('The last that was applied')
                        .meta({ examples: ['0001_foundation'] }),
                    pending: z.array(z.string()).describe('This version has them, the database does not'),
                    unknown: z.array(z.string()).describe('The database has them, this version does not: another version has migrated it'),
                }),
                lag: z.object({ renewals: Lag, deliveries: Lag, hooks: Lag }),
            }),
        },
        async handle() {
            const { database, sources } = services;
            const begun = sources.now();
            await database.ping();
            const latencyMs = sources.now() - begun;
            return {
                version,
                database: { kind: database.kind, latencyMs, clockAheadMs: Math.round((await database.readClock(sources.now)).offsetMs) },
                migrations: await readMigrationState(database.db),
                lag: await readWorkLag(database.db, sources.now()),
            };
        },
    });
