import { textOf } from './grants.ts';
import type { Answers, Called, ExceptionContext, TokenException } from './token-exception.ts';

/**
 * Salesforce: token answers name no lifetime, and each org sets its own. It is asked for right after a token was obtained, and
 * again before one is renewed, because using a session prolongs it (R14). Nobody asks while a token is read.
 */
export const salesforce: TokenException = {
    // two hours unless the org's admins chose otherwise; counts only while the org does not answer
    assumedLifetimeSeconds: 3600,
    introspection: {
        url: (connectionConfig, raw) => {
            const instance = textOf(raw['instance_url']) ?? textOf(connectionConfig['instance_url']);
            return instance !== undefined && URL.canParse(instance) ? new URL('/services/oauth2/introspect', instance) : undefined;
        },
        hosts: ['.salesforce.com', '.salesforce.mil', '.force.com', '.my.site.com'],
    },
    exchange: async (given) => withLifetime(given, await given.usual()),
    refresh: async (given) => withLifetime(given, await given.usual()),
    read: ({ main, further }) => ({
        access_token: main['access_token'],
        refresh_token: main['refresh_token'],
        expires_in: main['expires_in'],
        expires_at: endOf(further),
        raw: main,
    }),
};

async function withLifetime(given: ExceptionContext, token: Called): Promise<Called> {
    const introspected = await given.introspect(textOf(token.answer['access_token']) ?? '', token.answer);
    return introspected === undefined ? token : { ...token, further: { introspected } };
}

function endOf({ introspected }: Answers['further']): unknown {
    return introspected !== undefined && 'answer' in introspected && introspected.answer['active'] === true ? introspected.answer['exp'] : undefined;
}
