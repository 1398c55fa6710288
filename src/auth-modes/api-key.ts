/** API_KEY: one key, typed in and tested before it is kept. */
import { submittedText, type AuthMode } from './auth-mode.ts';
import { testCredentials } from './credential-test.ts';

export const apiKey: AuthMode = {
    name: 'API_KEY',
    direct: {
        create: async (input) => {
            const credentials = { type: 'API_KEY' as const, apiKey: submittedText(input, 'apiKey') };
            const tested = await testCredentials(input, credentials);
            return { credentials, obtainedAt: input.sources.now(), expiresAt: null, ...tested };
        },
    },
};
