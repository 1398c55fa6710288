/** GET and PATCH /environment: how an environment's redirect flows come back (settings S2). */
import { z } from 'zod';
import * as environments from '../../../store/environments.ts';
import type { EnvironmentRow } from '../../../store/schema.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';

export const readEnvironment = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment'],
        tag: 'Environment',
        summary: 'Settings of the environment',
        authenticate: apiKey(services),
        access: ['environment:settings:read'],
        async handle({ principal }) {
            return { data: view(services, await environments.findById(services.database.db, principal.environment!.id)) };
        },
    });

export const updateEnvironment = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/environment'],
        tag: 'Environment',
        summary: 'Change settings of the environment',
        authenticate: apiKey(services),
        access: ['environment:settings:update'],
        body: z
            .strictObject({
                // null or '' returns to the default; the customer's own address answers 308 to the default one, query kept
                callback_url: z.union([z.null(), z.literal(''), z.url({ protocol: /^https?$/ })]).optional(),
                // S2: callbacks forwarded by a server, which cannot present the browser's cookie
                accepts_forwarded_callbacks: z.boolean().optional(),
            })
            .refine((change) => Object.keys(change).length > 0, { message: 'Name at least one setting', when: ({ issues }) => issues.length === 0 }),
        async handle({ body, principal }) {
            const row = await environments.update(services.database.db, principal.environment!.id, {
                ...(body.callback_url === undefined ? {} : { callback_url: body.callback_url || null }),
                ...(body.accepts_forwarded_callbacks === undefined ? {} : { accepts_forwarded_callbacks: body.accepts_forwarded_callbacks }),
                updated_at: new Date(services.sources.now()),
            });
            return { data: view(services, row) };
        },
    });

const view = (services: Services, row: EnvironmentRow | undefined) =>
    row && {
        id: row.public_id,
        uuid: row.id,
        name: row.name,
        is_production: row.is_production,
        callback_url: row.callback_url ?? `${services.config.publicUrl}/oauth/callback`,
        accepts_forwarded_callbacks: row.accepts_forwarded_callbacks,
    };
