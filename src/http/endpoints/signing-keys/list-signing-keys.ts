/** GET /environment/webhook-signing-keys (W6). */
import { z } from 'zod';
import * as keys from '../../../store/webhook-signing-keys.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { hasScope } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { ofEndpoint, ownerOf, SigningKey, signingKeyViews } from './signing-key-view.ts';

export const listSigningKeys = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment/webhook-signing-keys'],
        tag: 'Webhooks',
        operationId: 'listWebhookSigningKeys',
        summary: 'List the keys that sign webhooks, and those that did',
        description: 'Newest first; revoked keys stay listed for 90 days. Secrets are shown to keys with `environment:webhooks:read`.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:read', 'environment:webhook_signing_key:rotate'],
        query: z.strictObject({ endpoint_id: ofEndpoint }),
        noStore: true,
        answers: { 200: z.object({ data: z.array(SigningKey) }) },
        async handle({ query, principal }) {
            const rows = await keys.list(services.database.db, ownerOf(principal, query.endpoint_id));
            return { data: await signingKeyViews(services, rows, hasScope(principal.scopes, 'environment:webhooks:read')) };
        },
    });
