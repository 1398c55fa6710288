/** POST /environment/webhook-signing-key/rotate (http-api §10.5, W6). */
import { z } from 'zod';
import { mostLiveKeys, rotateSigningKey as rotate } from '../../../credentials/webhook-signing-keys.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { noSigningKey, ofEndpoint, ownerOf } from './signing-key-view.ts';

const day = 86_400;

const Body = z
    .strictObject({
        overlap_seconds: z
            .int()
            .min(0)
            .max(30 * day)
            .default(day)
            .describe('How long the replaced key goes on signing beside the new one. `0` ends it at once, for a key that leaked.'),
        legacy_headers: z
            .enum(['new', 'previous'])
            .default('new')
            .describe(
                'Which key the single-valued `X-Nango-Signature` and `X-Nango-Hmac-Sha256` are made with during the overlap. `previous` keeps them ' +
                    'as they are until the overlap ends or `POST /environment/webhook-signing-key/promote`.',
            ),
        endpoint_id: ofEndpoint,
    })
    .refine((body) => body.legacy_headers === 'new' || body.overlap_seconds > 0, {
        path: ['legacy_headers'],
        message: 'Without an overlap there is no previous key',
    })
    .optional();

export const rotateSigningKey = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/environment/webhook-signing-key/rotate'],
        tag: 'Webhooks',
        operationId: 'rotateWebhookSigningKey',
        summary: 'Replace the key that signs webhooks',
        description:
            'Without a body the new key signs everything at once, and the replaced key signs beside it for a day. During an overlap `webhook-signature` has an ' +
            'entry per key, newest first; the single-valued `X-Nango-*` headers use the key that `legacy_headers` chooses, and `X-Valetkey-Hmac-Sha256-Other` is ' +
            `the HMAC of the other. Every process switches with its next delivery. 409 \`multiple_webhook_signing_keys\`: ${mostLiveKeys} keys sign already; ` +
            'revoke one, or wait.',
        authenticate: apiKey(services),
        access: ['environment:webhook_signing_key:rotate'],
        body: Body,
        noStore: true,
        answers: { 200: z.object({ data: z.object({ webhook_signing_key: z.string().describe('The new key, `whsec_…`.') }) }) },
        errors: { 404: ['not_found'], 409: ['multiple_webhook_signing_keys'], 500: ['rotation_failed'] },
        async handle({ body, principal, request }) {
            const { overlap_seconds: overlap = day, legacy_headers: legacyHeaders = 'new', endpoint_id: endpointId } = body ?? {};
            const owner = ownerOf(principal, endpointId);
            const rotated = await rotate(services.database.db, services, owner, {
                overlapMs: overlap * 1000,
                legacyHeaders,
            }).catch((error: unknown) => {
                request.log.error({ err: error }, 'the webhook signing key could not be rotated');
                throw ApiError.simple(500, 'rotation_failed', 'The webhook signing key could not be replaced; the present one stays.');
            });
            if (rotated === 'no key') {
                throw noSigningKey(owner);
            }
            if (rotated === 'too many keys') {
                throw ApiError.simple(
                    409,
                    'multiple_webhook_signing_keys',
                    `${mostLiveKeys} keys sign already: revoke a retiring one, wait until one ends, or rotate with overlap_seconds 0.`,
                );
            }
            return { data: { webhook_signing_key: rotated.secret } };
        },
    });
