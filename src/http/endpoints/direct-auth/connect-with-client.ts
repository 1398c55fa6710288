/**
 * POST /oauth2/auth/:key: an OAuth client of the person's own, proved by its first token (http-api §12.3). Older than its siblings:
 * any content type, no body at all, and its own order of checks.
 */
import { z } from 'zod';
import { ConnectFailure } from '../../../auth-modes/auth-mode.ts';
import { sessionInQuery } from '../../authentication.ts';
import { endpoint, type Endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { assertNoConnectionId, connectDescription, Connected, ConnectQuery, connectSubmitted, withOwn } from './direct-auth.ts';

const names = ['client_id', 'client_secret', 'client_certificate', 'client_private_key'] as const;

/** What the checks of the handler let through. */
const Client = z.looseObject({
    client_id: z.string().min(1),
    client_secret: z.string().optional().describe('It, or a private key.'),
    client_certificate: z.string().optional().describe('PEM, its chain behind it; where the provider’s entry asks for mutual TLS.'),
    client_private_key: z.string().optional().describe('PEM of the certificate’s key, or a JWK where the client proves itself with a JWT.'),
});

export const connectWithClient = (services: Services): Endpoint =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/oauth2/auth/:providerConfigKey'],
        tag: 'Connecting',
        operationId: 'connectWithClientCredentials',
        summary: 'Connect with an OAuth client (client credentials grant)',
        description: connectDescription,
        answers: { 200: Connected },
        errors: withOwn({
            400: [
                'outdated_client',
                'missing_client_id',
                'missing_client_secret',
                'missing_token_url',
                'client_credentials_fetch_error',
                'incomplete_raw_credentials',
                'unable_to_parse_token_response',
                'invalid_credentials',
            ],
        }),
        authenticate: sessionInQuery(services),
        access: 'connect session',
        anyContentType: true,
        body: Client,
        bodyFor: () => z.unknown(),
        query: z.looseObject({ ...ConnectQuery.shape, connection_id: z.unknown().optional(), params: z.unknown().optional() }),
        params: z.object({ providerConfigKey: z.string() }),
        async handle({ body, query, params, principal }) {
            const submitted = clientIn(body);
            assertNoConnectionId(query);
            const config = typeof query.params === 'object' && query.params !== null ? { ...query.params } : {};
            const attempt = { mode: 'OAUTH2_CC', session: principal.session!, integrationKey: params.providerConfigKey };
            try {
                return await connectSubmitted(services, attempt, { params: config, submitted });
            } catch (error) {
                throw error instanceof ConnectFailure && error.type === 'url_param_err' ? ApiError.simple(400, 'invalid_body', error.message) : error;
            }
        },
    });

function clientIn(body: unknown): Record<string, string> {
    const given: Record<string, unknown> = typeof body === 'object' && body !== null ? { ...body } : {};
    const texts = Object.fromEntries(
        names.flatMap((name) => (typeof given[name] === 'string' && given[name].trim() !== '' ? [[name, given[name]] as const] : [])),
    );
    if (texts['client_id'] === undefined) {
        throw new ConnectFailure('missing_client_id', 'client_id is missing.');
    }
    if (texts['client_secret'] === undefined && texts['client_private_key'] === undefined) {
        throw new ConnectFailure('missing_client_secret', 'client_secret is missing, and so is client_private_key.');
    }
    return texts;
}
