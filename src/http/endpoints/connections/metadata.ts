/** POST and PATCH /connections/metadata: an integrator's own notes on connections, for one or many at once (http-api §9). */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import * as metadataStore from '../../../store/connection-metadata.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionIds, IntegrationKey, Metadata } from '../../field-types.ts';
import type { Services } from '../../services.ts';

type How = metadataStore.MetadataWrite['how'];

const access = ['environment:connections:update'] as const;

const Body = z.strictObject({
    connection_id: ConnectionIds.describe('One connection of the integration, or a list of them; an empty list does nothing'),
    provider_config_key: IntegrationKey,
    metadata: Metadata,
});

const bulkDescription = (what: string): string => `${what} All connections are changed in one transaction or, if one of them is
unknown (404 \`unknown_connection\`), none. Answers what was sent. \`updated_at\` stays.`;

export const replaceMetadata = (services: Services) =>
    bulk(services, 'POST', 'replace', {
        operationId: 'setMetadata',
        summary: 'Replace the metadata of connections',
        description: bulkDescription('Replaces the metadata whole.'),
    });

export const mergeMetadata = (services: Services) =>
    bulk(services, 'PATCH', 'merge', {
        operationId: 'updateMetadata',
        summary: 'Merge into the metadata of connections',
        description: bulkDescription(
            'Sets the given top-level keys and leaves the others; a nested object is replaced, and null is a value like any other.',
        ),
    });

type Texts = Record<'operationId' | 'summary' | 'description', string>;

function bulk(services: Services, method: 'POST' | 'PATCH', how: How, texts: Texts) {
    const status = method === 'POST' ? 201 : 200;
    return endpoint({
        method,
        paths: ['/connections/metadata', '/connection/metadata'],
        tag: 'Connections',
        ...texts,
        authenticate: apiKey(services),
        access,
        body: Body,
        answers: { [status]: Body },
        errors: { 404: ['unknown_connection'] },
        async handle({ body, principal, request, reply }) {
            const connectionIds = [body.connection_id].flat();
            const write = {
                environmentId: principal.environment!.id,
                integrationKey: body.provider_config_key,
                connectionIds,
                metadata: body.metadata,
                how,
            };
            const missing = connectionIds.length === 0 ? undefined : await metadataStore.write(services.database.db, write);
            if (missing !== undefined) {
                const rest = connectionIds.length > 1 ? ' Nothing was changed.' : '';
                throw ApiError.simple(404, 'unknown_connection', `There is no connection "${missing}" of this provider_config_key.${rest}`);
            }
            return reply.code(status).send(request.body);
        },
    });
}

const singleDescription = `The body is the metadata itself, and is the answer too. \`provider_config_key\` may come in the header \`Provider-Config-Key\` instead
of the query. Use \`/connections/metadata\` instead.`;

export const replaceMetadataOfOne = (services: Services) =>
    single(services, 'POST', 'replace', {
        operationId: 'setMetadataOfConnectionDeprecated',
        summary: 'Replace the metadata of a connection',
        description: singleDescription,
    });

export const mergeMetadataOfOne = (services: Services) =>
    single(services, 'PATCH', 'merge', {
        operationId: 'updateMetadataOfConnectionDeprecated',
        summary: 'Merge into the metadata of a connection',
        description: singleDescription,
    });

function single(services: Services, method: 'POST' | 'PATCH', how: How, texts: Texts) {
    const status = method === 'POST' ? 201 : 200;
    return endpoint({
        method,
        paths: ['/connection/:connectionId/metadata'],
        tag: 'Connections',
        ...texts,
        isDeprecated: true,
        authenticate: apiKey(services),
        access,
        query: z.looseObject({ provider_config_key: z.string().optional() }),
        // what is no id belongs to no connection
        params: z.object({ connectionId: z.string() }),
        body: Metadata,
        answers: { [status]: Metadata },
        errors: { 400: ['missing_provider_config'], 404: ['unknown_connection'] },
        async handle({ query, params: { connectionId }, body, principal, request, reply }) {
            const integrationKey = query.provider_config_key || headerOf(request);
            if (integrationKey === undefined) {
                throw ApiError.legacy(400, 'missing_provider_config', 'The provider_config_key is missing, in the query and in the headers.');
            }
            const write = { environmentId: principal.environment!.id, integrationKey, connectionIds: [connectionId], metadata: body, how };
            if ((await metadataStore.write(services.database.db, write)) !== undefined) {
                throw ApiError.legacy(404, 'unknown_connection', 'There is no connection with this id and provider_config_key.', {
                    connectionId,
                    providerConfigKey: integrationKey,
                });
            }
            return reply.code(status).send(request.body);
        },
    });
}

function headerOf(request: FastifyRequest): string | undefined {
    const header = request.headers['provider-config-key'];
    return typeof header === 'string' && header !== '' ? header : undefined;
}
