/**
 * TBA: token-based authentication of NetSuite (auth-modes §8). The integration's consumer and the connection's token sign each
 * call (RFC 5849); the consumer's secret stays with the integration (E4). Nothing expires.
 */
import type { TbaCredentials } from '../credentials/credential.ts';
import { submittedText, type AuthMode, type DirectInput } from './auth-mode.ts';
import { testCredentials } from './credential-test.ts';

export const tba: AuthMode = {
    name: 'TBA',
    direct: {
        create: async (input) => {
            const credentials: TbaCredentials = {
                type: 'TBA',
                token_id: submittedText(input, 'token_id'),
                token_secret: submittedText(input, 'token_secret'),
                config_override: ownConsumer(input),
            };
            const tested = await testCredentials(input, credentials);
            return { credentials, obtainedAt: input.sources.now(), expiresAt: null, ...tested };
        },
    },
};

function ownConsumer(input: DirectInput): TbaCredentials['config_override'] {
    const client_id = submittedText(input, 'oauth_client_id_override');
    const client_secret = submittedText(input, 'oauth_client_secret_override');
    return { ...(client_id === '' ? {} : { client_id }), ...(client_secret === '' ? {} : { client_secret }) };
}
