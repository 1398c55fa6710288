/** GET /environment/webhook-signing-key: what receivers verify with. */
import { z } from 'zod';
import { openSigningKeys } from '../../../credentials/webhook-signing-keys.ts';
import * as keys from '../../../store/webhook-signing-keys.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { noSigningKey, ofEndpoint, ownerOf, SigningSecrets, signingSecrets } from './signing-key-view.ts';

export const readSigningKey = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment/webhook-signing-key'],
        tag: 'Webhooks',
        operationId: 'getWebhookSigningKey',
        summary: 'Read the key that signs webhooks, and its public half',
        description: 'The active key. While keys rotate, `GET /environment/webhook-signing-keys` lists every key that signs.',
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        query: z.strictObject({ endpoint_id: ofEndpoint }),
        noStore: true,
        answers: { 200: z.object({ data: SigningSecrets }) },
        errors: { 404: ['not_found'] },
        async handle({ query, principal }) {
            const owner = ownerOf(principal, query.endpoint_id);
            const row = await keys.findActive(services.database.db, owner);
            if (row === undefined) {
                throw noSigningKey(owner);
            }
            return { data: signingSecrets(await openSigningKeys(services.vault, owner.environmentId, row)) };
        },
    });
