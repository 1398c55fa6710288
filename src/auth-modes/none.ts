/** NONE: nothing to present; a connection holds its configuration only. */
import type { AuthMode } from './auth-mode.ts';

export const none: AuthMode = {
    name: 'NONE',
    direct: {
        create: (input) => Promise.resolve({ credentials: {}, obtainedAt: input.sources.now(), expiresAt: null }),
    },
};
