/** POST /auth/two-step/:key: whatever the provider's login asks for (http-api §12.2). */
import { z } from 'zod';
import type { Services } from '../../services.ts';
import { LooseObject } from '../../field-types.ts';
import { directAuth } from './direct-auth.ts';

/** Codes of logins that come to nothing, here and in imports. */
export const twoStepErrors = ['invalid_two_step_credentials', 'two_step_credentials_fetch_error', 'missing_token_url'] as const;

export const connectWithTwoStep = (services: Services) =>
    directAuth(services, {
        path: '/auth/two-step/:providerConfigKey',
        mode: 'TWO_STEP',
        operationId: 'connectWithTwoStep',
        summary: 'Connect with a login of one or more calls',
        body: z
            .looseObject({
                type: z.unknown().optional().describe('`TWO_STEP`; not looked at.'),
                assertionOption: LooseObject.optional().describe(
                    'What the assertion of the provider’s entry is made of, such as a private key. Kept sealed to renew the token, and shown only with `refresh_token=true`.',
                ),
            })
            .describe(
                'The `credentials` fields of the provider’s entry, but for those that are set on the integration (`preconfigured_credentials`).',
            ),
        errors: { 400: twoStepErrors },
    });
