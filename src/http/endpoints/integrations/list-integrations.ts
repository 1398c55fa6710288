/** GET /integrations: what an end user, or a backend, can connect with. */
import { z } from 'zod';
import * as integrations from '../../../store/integrations.ts';
import { sessionOrApiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { integrationView, ListedIntegration } from './integration-view.ts';

export const listIntegrations = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/integrations'],
        tag: 'Integrations',
        summary: 'List integrations',
        description: 'By provider, the oldest first. A connect session sees those it allows. Never with credentials, whatever the scopes of the key.',
        authenticate: sessionOrApiKey(services),
        access: ['environment:integrations:list', 'environment:integrations:list_credentials'],
        answers: { 200: z.object({ data: z.array(ListedIntegration) }) },
        async handle({ principal }) {
            const allowed = principal.session?.allowed_integrations ?? undefined;
            const rows = await integrations.list(services.database.db, principal.environment!.id, allowed);
            return {
                data: await Promise.all(
                    rows.map(async (row) => ({
                        ...(await integrationView(services, row)),
                        ...(services.catalogue.get(row.provider) === undefined ? { provider_available: false } : {}),
                    })),
                ),
            };
        },
    });
