/** POST, PATCH and DELETE of /webhooks/endpoints, and POST /webhooks/endpoints/:id/enable (W9, W18). */
import { z } from 'zod';
import { changeEndpoint, createEndpoint, deleteEndpoint, enableEndpoint } from '../../../environments/webhook-endpoints.ts';
import type { Db } from '../../../store/database.ts';
import * as environments from '../../../store/environments.ts';
import { defaultEventKinds } from '../../../webhooks/event-kinds.ts';
import { mostEndpoints } from '../../../webhooks/most-endpoints.ts';
import { apiKey, type Principal } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { environmentGone } from '../environment/settings-refusals.ts';
import { Moment } from './delivery-view.ts';
import { endpointFields, EndpointId, EndpointView, endpointView } from './endpoint-view.ts';

/** Like every change of settings: under the environment's lock. */
const changing = <Result>(services: Services, principal: Principal, write: (db: Db, environmentId: string) => Promise<Result>): Promise<Result> =>
    services.database.db.transaction().execute(async (transaction) => {
        const environment = await environments.lock(transaction, principal.environment!.id);
        if (environment === undefined) {
            throw environmentGone();
        }
        return write(transaction, environment.id);
    });

export const createWebhookEndpoint = (services: Services) => {
    const { url, description, events, follow_redirects, own_signing_key, enabled } = endpointFields(services);
    return endpoint({
        method: 'POST',
        creates: true,
        paths: ['/webhooks/endpoints'],
        tag: 'Webhooks',
        operationId: 'createWebhookEndpoint',
        summary: 'Create a webhook endpoint',
        description:
            'It gets the events that it names from now on, beside `primary_url` and `secondary_url`. A ' +
            "connection's own `webhook_url_override` takes the place of all endpoints for the default kinds; the others come here all the same. The URL " +
            `has to be https and public, unless the operator opened its host. Endpoint ${mostEndpoints + 1} of an environment answers 400 \`resource_capped\`.`,
        authenticate: apiKey(services),
        access: ['environment:webhooks:write'],
        body: z
            .strictObject({
                url,
                description: description.default(null),
                events: events.default([...defaultEventKinds]),
                follow_redirects: follow_redirects.default(true),
                own_signing_key: own_signing_key.default(false),
                enabled: enabled.default(true),
            })
            .meta({ examples: [{ url: 'https://hooks.example.com/valetkey', events: ['auth.deletion', 'auth.recovery'] }] }),
        answers: { 200: z.object({ data: EndpointView }) },
        errors: { 400: ['resource_capped'], 404: ['not_found'] },
        async handle({ body, principal }) {
            const row = await changing(services, principal, (db, environmentId) => createEndpoint(db, services, environmentId, body));
            return { data: endpointView(row) };
        },
    });
};

export const updateWebhookEndpoint = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/webhooks/endpoints/:id'],
        tag: 'Webhooks',
        operationId: 'updateWebhookEndpoint',
        summary: 'Change a webhook endpoint',
        description:
            'What is not named stays. A URL that is written anew enables the endpoint, unless `enabled` says otherwise; what was held stays held until ' +
            '`POST /webhooks/endpoints/:id/enable` sends it. What was written before goes to the old URL.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:write'],
        params: z.object({ id: EndpointId }),
        body: z
            .strictObject(endpointFields(services))
            .partial()
            .refine((change) => Object.keys(change).length > 0, { message: 'Name at least one field', when: ({ issues }) => issues.length === 0 }),
        answers: { 200: z.object({ data: EndpointView }) },
        errors: { 404: ['not_found'] },
        async handle({ params: { id }, body, principal }) {
            const row = await changing(services, principal, (db, environmentId) => changeEndpoint(db, services, environmentId, id, body));
            return { data: endpointView(row) };
        },
    });

export const deleteWebhookEndpoint = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/webhooks/endpoints/:id'],
        tag: 'Webhooks',
        operationId: 'deleteWebhookEndpoint',
        summary: 'Delete a webhook endpoint',
        description: 'What was not delivered is given up. `primary_url` or `secondary_url` is `null` afterwards, if this was its endpoint.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:write'],
        params: z.object({ id: EndpointId }),
        answers: { 200: z.object({ success: z.literal(true) }) },
        errors: { 404: ['not_found'] },
        async handle({ params: { id }, principal }) {
            await changing(services, principal, (db, environmentId) => deleteEndpoint(db, services.sources, environmentId, id));
            return { success: true };
        },
    });

export const enableWebhookEndpoint = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/webhooks/endpoints/:id/enable'],
        tag: 'Webhooks',
        operationId: 'enableWebhookEndpoint',
        summary: 'Make a webhook endpoint work again',
        description:
            'What was held for it since `replay_since` is sent, the oldest first, each with its own id and a new schedule, to the URL of today. What is ' +
            'older stays held, and is sent if this is called again with an earlier moment; after 30 days it is removed. An endpoint that is enabled stays so.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:write'],
        params: z.object({ id: EndpointId }),
        body: z
            .strictObject({ replay_since: z.union([z.null(), Moment]).describe('`null`: nothing of what was held.') })
            .meta({ examples: [{ replay_since: '2026-01-31T00:00:00Z' }] }),
        answers: { 200: z.object({ data: EndpointView, replayed: z.int().describe('Deliveries that are sent now.') }) },
        errors: { 404: ['not_found'] },
        async handle({ params: { id }, body, principal }) {
            const { row, replayed } = await changing(services, principal, (db, environmentId) =>
                enableEndpoint(db, services.sources, environmentId, id, body.replay_since),
            );
            services.connect.wakeDeliveries();
            return { data: endpointView(row), replayed };
        },
    });
