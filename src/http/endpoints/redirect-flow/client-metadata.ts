/** GET /oauth/client-metadata/:environmentUuid/:providerConfigKey: what authorization servers fetch that take an address for a client id (http-api §11.7). */
import { z } from 'zod';
import { openExtras } from '../../../credentials/integration-secrets.ts';
import { clientIdentity, clientMetadata, clientMetadataUrl } from '../../../auth-modes/mcp/client-metadata.ts';
import * as environments from '../../../store/environments.ts';
import * as integrations from '../../../store/integrations.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';

const mcpModes: ReadonlySet<string> = new Set(['MCP_OAUTH2', 'MCP_OAUTH2_GENERIC']);

const Document = z.object({
    client_id: z.url().describe('The address of this document.'),
    client_name: z.string().meta({ examples: ['Acme'] }),
    client_uri: z.url(),
    logo_uri: z.url().optional(),
    redirect_uris: z.array(z.url()).length(1),
    grant_types: z.array(z.string()),
    response_types: z.array(z.string()),
    token_endpoint_auth_method: z.literal('none'),
});

export const readClientMetadata = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/oauth/client-metadata/:environmentUuid/:providerConfigKey'],
        tag: 'Connecting',
        operationId: 'getClientMetadata',
        summary: 'Get the OAuth client metadata of an MCP integration',
        description:
            'Its address is the client id at authorization servers that support client id metadata documents. Name, address and logo are those of the ' +
            'integration’s `custom` values `oauth_client_name`, `oauth_client_uri` and `oauth_client_logo_uri`.',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 1,
        anyContentType: true,
        query: anyQuery,
        params: z.object({ environmentUuid: z.uuid(), providerConfigKey: IntegrationKey }),
        answers: { 200: Document },
        errors: { 404: ['feature_disabled', 'unknown_environment', 'unknown_provider_config'] },
        async handle({ params, reply }) {
            const { database, catalogue, vault, config } = services;
            const { environmentUuid, providerConfigKey: uniqueKey } = params;
            // One spelling only: the document of another address is not ours.
            const clientId = clientMetadataUrl(config.publicUrl, { environmentId: environmentUuid.toLowerCase(), uniqueKey });
            if (clientId === undefined) {
                throw ApiError.simple(404, 'feature_disabled', 'This server has no public https address.');
            }
            const environment = await environments.findById(database.db, environmentUuid);
            if (environment === undefined) {
                throw ApiError.simple(404, 'unknown_environment', 'There is no such environment.');
            }
            const row = await integrations.findByKey(database.db, environment.id, uniqueKey);
            const provider = row && catalogue.get(row.provider);
            if (row === undefined || provider === undefined || !mcpModes.has(provider.authMode)) {
                throw ApiError.simple(404, 'unknown_provider_config', 'There is no MCP integration with this key.');
            }
            const { custom } = await openExtras(vault, row);
            const redirectUri = environment.callback_url ?? `${config.publicUrl}/oauth/callback`;
            reply.header('cache-control', 'public, max-age=300');
            return clientMetadata(config.publicUrl, clientId, clientIdentity(custom), redirectUri);
        },
    });
