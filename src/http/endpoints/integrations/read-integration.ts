/** GET /integrations/:uniqueKey. */
import { z } from 'zod';
import { openSetup } from '../../../environments/integration.ts';
import * as integrations from '../../../store/integrations.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { IntegrationKey } from '../../field-types.ts';
import { hasScope } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { noIntegration } from './integration-body.ts';
import { OwnIntegration, ownIntegrationView, ShownCredentials, shownCredentials, webhookUrl } from './integration-view.ts';

const Include = z.enum(['webhook', 'credentials']);

export const readIntegration = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/integrations/:uniqueKey'],
        tag: 'Integrations',
        summary: 'Read an integration',
        description:
            '`include=webhook` adds `webhook_url`. `include=credentials` adds `credentials` if the key has the scope ' +
            '`environment:integrations:read_credentials`; **without it the member is absent, and the answer is a 200 all the same.**',
        authenticate: apiKey(services),
        access: ['environment:integrations:read', 'environment:integrations:read_credentials'],
        errors: { 404: ['not_found'] },
        noStore: true,
        params: z.object({ uniqueKey: IntegrationKey }),
        query: z.strictObject({
            include: z
                .union([Include, z.array(Include)])
                .optional()
                .describe('May be repeated.'),
        }),
        answers: {
            200: z.object({
                data: OwnIntegration.extend({
                    webhook_url: z.url().nullable().optional().describe('Where the provider is to send its webhooks; `null`: it sends none.'),
                    credentials: ShownCredentials.nullable().optional().describe('`null`: integrations of this auth mode have none.'),
                }),
            }),
        },
        async handle({ query, params, principal }) {
            const row = await integrations.findByKey(services.database.db, principal.environment!.id, params.uniqueKey);
            const provider = row && services.catalogue.get(row.provider);
            if (row === undefined || provider === undefined) {
                throw noIntegration();
            }
            const included = [query.include ?? []].flat();
            const mayReadCredentials = hasScope(principal.scopes, 'environment:integrations:read_credentials');
            return {
                data: {
                    ...(await ownIntegrationView(services, row)),
                    ...(included.includes('webhook') ? { webhook_url: webhookUrl(services, row, provider) } : {}),
                    ...(included.includes('credentials') && mayReadCredentials
                        ? { credentials: shownCredentials(provider, await openSetup(services.vault, row)) }
                        : {}),
                },
            };
        },
    });
