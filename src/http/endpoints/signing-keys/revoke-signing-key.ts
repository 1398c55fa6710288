/** DELETE /environment/webhook-signing-keys/:id (W6). */
import { z } from 'zod';
import { revokeSigningKey as revoke } from '../../../credentials/webhook-signing-keys.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';

export const revokeSigningKey = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/environment/webhook-signing-keys/:id'],
        tag: 'Webhooks',
        operationId: 'revokeWebhookSigningKey',
        summary: 'Revoke a retiring signing key before its time',
        description: 'Effective with the next delivery; the secret is destroyed. The active key cannot be revoked, only rotated.',
        authenticate: apiKey(services),
        access: ['environment:webhook_signing_key:rotate'],
        params: z.object({ id: z.uuid() }),
        answers: { 200: z.object({ success: z.literal(true) }) },
        errors: { 400: ['cannot_revoke_active_webhook_signing_key'], 404: ['not_found'] },
        async handle({ params, principal }) {
            switch (await revoke(services.database.db, services.sources, principal.environment!.id, params.id)) {
                case 'unknown':
                    throw ApiError.simple(404, 'not_found', 'This environment has no such webhook signing key.');
                case 'active':
                    throw ApiError.simple(400, 'cannot_revoke_active_webhook_signing_key', 'This key is the active one: rotate it instead.');
                case 'revoked':
                    return { success: true };
            }
        },
    });
