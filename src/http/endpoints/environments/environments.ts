/** /environments: listing, creating and deleting them, with an account key (http-api §10.1, §10.2; settings S2). */
import { z } from 'zod';
import * as environment from '../../../environments/environment.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { EnvName, PublicId } from '../../field-types.ts';
import { hasScope } from '../../scopes.ts';
import type { Services } from '../../services.ts';

const setProduction = 'account:environments:set_production';
const HttpUrl = z.url({ protocol: /^https?$/, abort: true });

export const listEnvironments = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environments'],
        tag: 'Environments',
        summary: 'List environments',
        description: 'All of the account.',
        authenticate: apiKey(services),
        access: ['account:environments:list'],
        answers: {
            200: z.object({
                data: z.array(
                    z.object({
                        id: z.int(),
                        uuid: z.uuid(),
                        name: z.string().meta({ examples: ['staging'] }),
                        is_production: z.boolean(),
                        created_at: z.iso.datetime(),
                    }),
                ),
            }),
        },
        async handle() {
            const rows = await environments.list(services.database.db);
            return {
                data: rows.map((row) => ({
                    id: row.public_id,
                    uuid: row.id,
                    name: row.name,
                    is_production: row.is_production,
                    created_at: row.created_at.toISOString(),
                })),
            };
        },
    });

export const createEnvironment = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/environments'],
        tag: 'Environments',
        summary: 'Create an environment',
        description:
            'Made with it: an API key with full access whose text nobody has seen (rotate it, or create another), a webhook signing key, and webhook ' +
            `settings with every switch on. A production environment also needs \`${setProduction}\`. A name that is taken answers 409 \`conflict\`.`,
        authenticate: apiKey(services),
        access: ['account:environments:create'],
        creates: true,
        answers: { 200: z.object({ data: z.object({ id: z.int(), name: z.string().meta({ examples: ['staging'] }) }) }) },
        errors: { 400: ['invalid_is_prod_flag'], 409: ['conflict'] },
        body: z.strictObject({
            name: EnvName,
            is_production: z.boolean().optional().describe('Default: true for `prod`, which always is one, else false.'),
            callback_url: HttpUrl.optional(),
            hmac_key: z.string().max(1000).optional(),
            hmac_enabled: z.boolean().optional(),
            slack_notifications: z.boolean().optional(),
            otlp_endpoint: z.union([z.literal(''), HttpUrl]).optional(),
            otlp_headers: z
                .array(z.strictObject({ name: z.string().min(1).max(256), value: z.string().min(1).max(4000) }))
                .max(100)
                .optional(),
        }),
        async handle({ body, principal }) {
            const isProduction = body.is_production ?? body.name === 'prod';
            if (isProduction && !hasScope(principal.scopes, setProduction)) {
                throw ApiError.simple(403, 'forbidden', `Insufficient scope. Required: ${setProduction}`);
            }
            const row = await environment.addEnvironment(services.database.db, services, {
                name: body.name,
                isProduction,
                origin: 'created',
                callbackUrl: body.callback_url,
                settings: {
                    hmacKey: body.hmac_key,
                    hmacEnabled: body.hmac_enabled,
                    slackNotifications: body.slack_notifications,
                    otlpEndpoint: body.otlp_endpoint,
                    otlpHeaders: body.otlp_headers,
                },
            });
            return { data: { id: row.public_id, name: row.name } };
        },
    });

export const deleteEnvironment = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/environments/:environmentId'],
        tag: 'Environments',
        summary: 'Delete an environment with its integrations and connections',
        description:
            'At once and for good: credentials and secrets are shredded, connect sessions and webhooks end, and its API keys open nothing. ' +
            'The environment `prod` answers 400 `cannot_delete_prod_environment`.',
        authenticate: apiKey(services),
        access: ['account:environments:delete'],
        answers: { 204: null },
        errors: { 400: ['cannot_delete_prod_environment'], 404: ['not_found'] },
        params: z.object({ environmentId: PublicId }),
        async handle({ params, reply }) {
            const registrations = await services.clients.ofEnvironment(params.environmentId);
            await environment.deleteEnvironment(services.database.db, services, params.environmentId);
            services.clients.unregister(registrations);
            return reply.code(204).send();
        },
    });
