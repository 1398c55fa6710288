/** BASIC: user name and password (RFC 7617), typed in and tested before they are kept. Either may be empty. */
import { submittedText, type AuthMode } from './auth-mode.ts';
import { testCredentials } from './credential-test.ts';

export const basic: AuthMode = {
    name: 'BASIC',
    direct: {
        create: async (input) => {
            const credentials = { type: 'BASIC' as const, username: submittedText(input, 'username'), password: submittedText(input, 'password') };
            const tested = await testCredentials(input, credentials);
            return { credentials, obtainedAt: input.sources.now(), expiresAt: null, ...tested };
        },
    },
};
