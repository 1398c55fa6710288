/**
 * Which keys of an entry have an effect in which auth mode (A8). A key without one would be a promise that nothing keeps, so the
 * linter refuses it; and an alias that changes the mode does not inherit it (catalogue contract 3).
 */
import type { AuthMode, ProviderEntry } from './provider.ts';

type Key = string;

const everywhere: readonly Key[] = [
    'display_name',
    'categories',
    'docs',
    'docs_connect',
    'setup_guide_url',
    'auth_mode',
    'proxy',
    'connection_config',
    'connection_configuration',
    'post_connection_script',
    'pre_connection_creation_script',
    'pre_connection_deletion_script',
    'webhook_routing_script',
    'webhook_user_defined_secret',
    'webhook_allowed_query_params',
];

/** Credentials that a person types, and that can be tried out before they are stored. */
const typed: readonly Key[] = ['credentials', 'credentials_verification_script'];
/** A person says yes in a window of the provider's. */
const consent: readonly Key[] = ['popup'];
const scopes: readonly Key[] = ['scope_separator', 'default_scopes', 'available_scopes'];
/** Signed here, without a call (JWT, SIGNATURE), or before the first call (TWO_STEP). */
const signed: readonly Key[] = ['signature', 'token'];
const tokenCall: readonly Key[] = [
    'token_url',
    'token_params',
    'token_exchange_script',
    'token_response_metadata',
    'token_expiration_buffer',
    'token_limits',
    'refresh_token_response_metadata',
];
const codeFlow: readonly Key[] = [
    ...consent,
    ...tokenCall,
    ...scopes,
    'authorization_url',
    'authorization_url_skip_encode',
    'authorization_url_skip_empty',
    'authorization_url_replacements',
    'authorization_url_fragment',
    'authorization_params',
    'authorization_code_param_in_callback',
    'authorization_method',
    'token_request_auth_method',
    'basic_encoding',
    'body_format',
    'alternate_access_token_response_path',
    'assumed_expires_in',
    'max_idle',
    'refresh_url',
    'refresh_params',
    'redirect_uri_metadata',
    'allowed_hosts',
];

const perMode: Record<AuthMode, ReadonlySet<Key>> = {
    OAUTH2: keys(codeFlow, [
        'installation',
        'authorization_code_param_in_webhook',
        'webhook_response_metadata',
        'disable_pkce',
        'revocation_url',
        'revocation_auth_method',
        'revocation_body_format',
        'revocation_token_param',
        'revocation_ends_all',
    ]),
    // PKCE is part of the protocol there, so it cannot be switched off.
    MCP_OAUTH2: keys(codeFlow, ['client_registration', 'registration_url', 'registration_params']),
    MCP_OAUTH2_GENERIC: keys(scopes, consent, ['token_limits']),
    OAUTH2_CC: keys(tokenCall, scopes, typed, [
        'token_headers',
        'token_request_auth_method',
        'basic_encoding',
        'body_format',
        'expires_in_unit',
        'token_expires_in_ms',
        'assumed_expires_in',
        'require_client_certificate',
        'allowed_hosts',
    ]),
    TWO_STEP: keys(tokenCall, signed, typed, [
        'integration_config',
        'token_headers',
        'token_request_method',
        'body_format',
        'token_response',
        'token_response_headers',
        'token_expires_in_ms',
        'additional_steps',
        'assertion',
        'assertion_option',
        'max_idle',
        'refresh_url',
        'refresh_token_params',
        'refresh_token_headers',
    ]),
    OAUTH1: keys(scopes, consent, [
        'request_url',
        'request_params',
        'request_http_method',
        'authorization_url',
        'authorization_params',
        'token_url',
        'token_params',
        'token_http_method',
        'signature_method',
        'redirect_uri_metadata',
    ]),
    APP: keys(consent, ['authorization_url', 'authorization_url_skip_encode', 'token_url', 'token_limits']),
    CUSTOM: keys(
        ['authorization_url', 'authorization_url_skip_encode', 'authorization_params', 'token_url', 'token_params', 'token_limits', 'refresh_params'],
        scopes,
        consent,
    ),
    INSTALL_PLUGIN: keys(consent, ['auth_type', 'redirect_uri_metadata', 'credentials_verification_script']),
    API_KEY: keys(typed, ['integration_config']),
    BASIC: keys(typed),
    TBA: keys(typed),
    BILL: keys(typed, ['token_url', 'token_limits']),
    JWT: keys(typed, signed),
    SIGNATURE: keys(typed, signed),
    AWS_SIGV4: keys(typed, ['integration_config', 'token_limits']),
    NONE: keys([]),
};

function keys(...lists: (readonly Key[])[]): ReadonlySet<Key> {
    return new Set([...everywhere, ...lists.flat()]);
}

/** Accepted, so that catalogues written for the reference load; the linter warns about them. */
export const ineffectiveKeys: readonly Key[] = ['auth', 'decode_url', 'token_url_skip_encode'];

export function hasEffect(key: Key, mode: AuthMode): boolean {
    return perMode[mode].has(key);
}

type ClientAuthentication = NonNullable<ProviderEntry['token_request_auth_method']>;
type BodyFormat = NonNullable<ProviderEntry['body_format']>;

/** What a mode's token request can do, where it cannot do everything: a client secret would travel where it was not meant to. */
export const tokenRequests: Partial<Record<AuthMode, { authentications: readonly ClientAuthentication[]; formats: readonly BodyFormat[] }>> = {
    OAUTH2: { authentications: ['basic', 'basic_secret'], formats: ['form', 'json'] },
    MCP_OAUTH2: { authentications: ['basic'], formats: ['form', 'json'] },
    OAUTH2_CC: { authentications: ['basic', 'custom', 'private_key_jwt'], formats: ['form', 'json', 'query'] },
    TWO_STEP: { authentications: [], formats: ['form', 'json', 'xml'] },
};
