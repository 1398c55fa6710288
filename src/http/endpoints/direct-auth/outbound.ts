/** POST /auth/oauth-outbound/:key: a connection that waits for the vendor's side to install the integration (http-api §12.2). */
import { z } from 'zod';
import { ConnectFailure } from '../../../auth-modes/auth-mode.ts';
import { admit, resolveTarget } from '../../../connect/attempt.ts';
import { connectOutbound as connect } from '../../../connect/outbound.ts';
import { sessionInQuery } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertNoConnectionId, connectErrors, Connected, ConnectQuery } from './direct-auth.ts';

export const connectOutbound = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/auth/oauth-outbound/:providerConfigKey'],
        tag: 'Connecting',
        operationId: 'connectOutbound',
        summary: 'Connect by an installation on the vendor’s side',
        description:
            'For providers whose entry says `installation: outbound`: the person installs the integration at the vendor, whose webhook brings the credentials. ' +
            'Until then `connection_config.pending` is true, and `credentials` has nothing but its type; after seven days without an installation the ' +
            'connection is deleted. With a session for a reconnect the connection keeps its credentials until the new ones are there. The body is ignored.',
        answers: { 200: Connected },
        errors: {
            ...connectErrors,
            // The last: its installation came just now (S15).
            400: [...connectErrors[400].filter((code) => code !== 'connection_test_failed'), 'provider_config_err', 'callback_err'],
        },
        authenticate: sessionInQuery(services),
        access: 'connect session',
        query: ConnectQuery,
        params: z.object({ providerConfigKey: IntegrationKey }),
        async handle({ query, params, principal }) {
            assertNoConnectionId(query);
            const session = principal.session!;
            const target = await resolveTarget(services.connect, session, params.providerConfigKey);
            const { provider, mode, integration } = target;
            if (provider.entry.installation !== 'outbound' || mode === undefined) {
                throw new ConnectFailure('invalid_auth_mode', `${provider.displayName} is connected in another way (${provider.authMode}).`);
            }
            const attempt = await admit(services.connect, session, { ...target, mode });
            const row = await connect(services.connect, attempt, query.params);
            return { connectionId: row.connection_id, providerConfigKey: integration.unique_key };
        },
    });
