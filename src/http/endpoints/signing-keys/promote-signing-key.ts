/** POST /environment/webhook-signing-key/promote (W6). */
import { z } from 'zod';
import * as keys from '../../../store/webhook-signing-keys.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { noSigningKey, ofEndpoint, ownerOf, SigningKey, signingKeyViews } from './signing-key-view.ts';

export const promoteSigningKey = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/environment/webhook-signing-key/promote'],
        tag: 'Webhooks',
        operationId: 'promoteWebhookSigningKey',
        summary: 'Sign the X-Nango-* headers with the new key',
        description:
            'Ends `legacy_headers: "previous"` of a rotation, from the next delivery on. Retiring keys keep their entries in `webhook-signature` until they end. ' +
            'Does nothing when the active key signs them already. Answers the keys, without secrets.',
        authenticate: apiKey(services),
        access: ['environment:webhook_signing_key:rotate'],
        body: z.strictObject({ endpoint_id: ofEndpoint }).optional(),
        answers: { 200: z.object({ data: z.array(SigningKey) }) },
        errors: { 404: ['not_found'] },
        async handle({ body, principal }) {
            const { db } = services.database;
            const owner = ownerOf(principal, body?.endpoint_id);
            await keys.signLegacyWithActive(db, owner);
            const rows = await keys.list(db, owner);
            if (rows.length === 0) {
                throw noSigningKey(owner);
            }
            return { data: await signingKeyViews(services, rows, false) };
        },
    });
