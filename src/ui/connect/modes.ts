/** How each auth mode is connected: what is always asked (frontend contract §3.3), and which way the answers take (§1.6, §3.4). */
import type { Provider } from './api-types.ts';

export type Way = { readonly kind: 'window' } | { readonly kind: 'call'; readonly path: string } | undefined;

const calls: Readonly<Record<string, string>> = {
    API_KEY: 'api-auth/api-key',
    BASIC: 'api-auth/basic',
    OAUTH2_CC: 'oauth2/auth',
    JWT: 'auth/jwt',
    TWO_STEP: 'auth/two-step',
    TBA: 'auth/tba',
    BILL: 'auth/bill',
    SIGNATURE: 'auth/signature',
    AWS_SIGV4: 'auth/aws-sigv4',
    NONE: 'auth/unauthenticated',
};

const windows: ReadonlySet<string> = new Set(['OAUTH1', 'OAUTH2', 'APP', 'CUSTOM', 'MCP_OAUTH2', 'MCP_OAUTH2_GENERIC', 'INSTALL_PLUGIN']);

/** `undefined`: this page does not know the mode. */
export function wayOf(provider: Provider): Way {
    if (isOutbound(provider)) {
        return { kind: 'call', path: 'auth/oauth-outbound' };
    }
    const path = calls[provider.auth_mode];
    return path === undefined ? (windows.has(provider.auth_mode) ? { kind: 'window' } : undefined) : { kind: 'call', path };
}

/** Installed on the vendor's side: the connection waits for its webhook. */
export const isOutbound = (provider: Provider): boolean => provider.auth_mode === 'OAUTH2' && provider.installation === 'outbound';

const fixed: Readonly<Record<string, readonly string[]>> = {
    API_KEY: ['apiKey'],
    BASIC: ['username', 'password'],
    TBA: ['oauth_client_id_override', 'oauth_client_secret_override', 'token_id', 'token_secret'],
    BILL: ['username', 'password', 'organization_id', 'dev_key'],
    SIGNATURE: ['username', 'password'],
    AWS_SIGV4: ['role_arn'],
};

/** Names of the credentials that the mode asks for, whatever the provider's entry says. */
export function baseCredentials(provider: Provider): readonly string[] {
    if (provider.auth_mode !== 'OAUTH2_CC') {
        return fixed[provider.auth_mode] ?? [];
    }
    return [
        'client_id',
        ...(provider.token_request_auth_method === 'private_key_jwt' ? [] : ['client_secret']),
        ...(provider.require_client_certificate === true ? ['client_certificate', 'client_private_key'] : []),
    ];
}

/** An OAuth app of the person's own, where the session's default is empty (§3.3 step 6). */
export const ownAppCredentials = ['oauth_client_id_override', 'oauth_client_secret_override', 'oauth_refresh_token_override'] as const;
