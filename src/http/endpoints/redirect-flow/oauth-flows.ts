/** POST /oauth/flows: a redirect flow whose parameters travel in a body (S9). Additive; the official client does not use it. */
import { z } from 'zod';
import { requestFlow } from '../../../connect/flow-request.ts';
import { connectSession } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { FlowId, IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';

const Strings = z.record(z.string(), z.string()).default({});

export const createOauthFlow = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/oauth/flows'],
        tag: 'Connecting',
        operationId: 'prepareRedirectFlow',
        summary: 'Prepare a redirect flow and get a single-use URL for it',
        description: 'For secrets that must not be in a URL. The browser opens the URL it answers, once, within five minutes.',
        answers: {
            201: z.strictObject({
                data: z.strictObject({
                    url: z.url().meta({ examples: ['https://auth.example.com/oauth/connect/github-prod?flow=…'] }),
                    expires_at: z.iso.datetime(),
                }),
            }),
        },
        authenticate: connectSession(services, 'connecting'),
        access: 'connect session',
        body: z.strictObject({
            provider_config_key: IntegrationKey,
            flow_id: FlowId.optional(),
            params: Strings.describe('The connection configuration that the provider’s entry asks for.'),
            authorization_params: Strings.describe('Added to the authorization URL. Reserved names are refused.'),
            credentials: z
                .strictObject({
                    oauth_client_id_override: z.string().min(1).max(255).optional(),
                    oauth_client_secret_override: z.string().min(1).max(2048).optional(),
                    oauth_refresh_token_override: z.string().min(1).max(16384).optional(),
                })
                .default({})
                .describe('An OAuth app of the person’s own.'),
        }),
        noStore: true,
        async handle({ body, principal, reply }) {
            const { url, expiresAt } = await requestFlow(services.connect, principal.session!, body.provider_config_key, {
                params: body.params,
                authorizationParams: body.authorization_params,
                clientOverride: { clientId: body.credentials.oauth_client_id_override, clientSecret: body.credentials.oauth_client_secret_override },
                refreshTokenOverride: body.credentials.oauth_refresh_token_override,
                connectFlowId: body.flow_id,
            });
            return reply.code(201).send({ data: { url, expires_at: expiresAt.toISOString() } });
        },
    });
