/** POST /auth/tba/:key: an access token of NetSuite, used with the integration's consumer or one of its own (http-api §12.2). */
import { z } from 'zod';
import type { Endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { directAuth } from './direct-auth.ts';

const text = z.string().min(1).max(2048);

export const connectWithTba = (services: Services): Endpoint =>
    directAuth(services, {
        path: '/auth/tba/:providerConfigKey',
        mode: 'TBA',
        operationId: 'connectWithTba',
        summary: 'Connect with a token id and a token secret',
        body: z
            .strictObject({
                token_id: text,
                token_secret: text,
                oauth_client_id_override: text.optional().describe('A consumer key in place of the integration’s. Goes with its secret.'),
                oauth_client_secret_override: text.optional(),
            })
            .superRefine(({ oauth_client_id_override: id, oauth_client_secret_override: secret }, context) => {
                // Half a consumer would be stored and never used.
                if ((id === undefined) !== (secret === undefined)) {
                    const path = [id === undefined ? 'oauth_client_id_override' : 'oauth_client_secret_override'];
                    context.addIssue({ code: 'custom', path, message: 'A consumer key and its secret go together.' });
                }
            }),
    });
