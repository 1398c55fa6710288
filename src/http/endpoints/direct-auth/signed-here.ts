/** POST /auth/jwt/:key and /auth/signature/:key: what the person types in signs the tokens (http-api §12.2). */
import { z } from 'zod';
import type { Endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { directAuth } from './direct-auth.ts';

export const connectWithJwt = (services: Services): Endpoint =>
    directAuth(services, {
        path: '/auth/jwt/:providerConfigKey',
        // The official client 0.71.1 and 0.71.2, when a key comes with its id and its issuer (frontend contract §1.1).
        aliases: ['/app-store-auth/:providerConfigKey'],
        mode: 'JWT',
        operationId: 'connectWithJwt',
        summary: 'Connect with a key that signs JWTs',
        body: z
            .looseObject({
                privateKey: z
                    .union([z.string().min(1), z.looseObject({ id: z.string().min(1), secret: z.string().min(1) })])
                    .optional()
                    .describe('PEM, or what the provider’s entry asks for; a key that is handed out as `id:secret` also in two parts.'),
            })
            .describe('The fields that the provider’s entry asks for.'),
        errors: { 400: ['missing_token_body', 'missing_signature_type', 'failed_to_sign'] },
    });

const text = z.string().min(1).max(1024);

export const connectWithSignature = (services: Services): Endpoint =>
    directAuth(services, {
        path: '/auth/signature/:providerConfigKey',
        mode: 'SIGNATURE',
        operationId: 'connectWithSignature',
        summary: 'Connect with a user name and a password that sign WSSE tokens',
        body: z.strictObject({ username: text, password: text, type: z.string().min(1).describe('`SIGNATURE`, as the official client sends it.') }),
        errors: { 400: ['invalid_credentials', 'missing_token_body', 'missing_signature_type'] },
    });
