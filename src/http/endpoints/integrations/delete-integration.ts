/** DELETE /integrations/:uniqueKey: with its connections, whose credentials are shredded at once. The key can be used again. */
import { z } from 'zod';
import { deleteIntegration as remove } from '../../../environments/integration.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { noIntegration } from './integration-body.ts';

export const deleteIntegration = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/integrations/:uniqueKey'],
        tag: 'Integrations',
        summary: 'Delete an integration and its connections',
        description:
            'The credentials of its connections are destroyed at once. No webhooks are sent. A client that registered itself is unregistered, ' +
            'where its server offers that and answers.',
        authenticate: apiKey(services),
        access: ['environment:integrations:delete'],
        params: z.object({ uniqueKey: IntegrationKey }),
        answers: { 200: z.object({ success: z.literal(true) }) },
        errors: { 404: ['not_found'] },
        async handle({ params, principal }) {
            const { clients, database } = services;
            const registrations = await database.db.transaction().execute(async (transaction) => {
                const id = await remove(transaction, services, principal.environment!.id, params.uniqueKey);
                return id === undefined ? undefined : clients.take(transaction, id);
            });
            if (registrations === undefined) {
                throw noIntegration();
            }
            clients.unregister(registrations);
            return { success: true };
        },
    });
