/** Keys of a catalogue entry that one auth mode or a few understand (catalogue contract 4.3–4.8). The schema says what is allowed. */
import type { ValueTree } from './value-template.ts';

export type Headers = Readonly<Record<string, string>>;
export type ValueTrees = Readonly<Record<string, ValueTree>>;

/** OAUTH1. */
export interface OAuth1Keys {
    readonly request_url?: string;
    readonly request_params?: Readonly<Record<string, string>>;
    readonly request_http_method?: 'GET' | 'PUT' | 'POST';
    readonly token_http_method?: 'GET' | 'PUT' | 'POST';
    readonly signature_method?: 'HMAC-SHA1' | 'HMAC-SHA256' | 'RSA-SHA1' | 'PLAINTEXT';
}

/** A further login call, made with the answers of those before it. */
export interface LoginStep {
    readonly token_url: string;
    readonly token_params?: ValueTrees;
    readonly token_headers?: Headers;
    readonly token_request_method?: 'GET' | 'POST';
    readonly body_format?: 'json' | 'form' | 'xml';
}

/** TWO_STEP. */
export interface TwoStepKeys {
    readonly token_headers?: Headers;
    readonly token_request_method?: 'GET' | 'POST';
    /** Paths into the last answer; an empty `token` is the whole body. */
    readonly token_response?: {
        readonly token: string;
        readonly token_expiration?: string;
        readonly token_expiration_strategy?: 'expireAt' | 'expireIn';
        readonly refresh_token?: string;
    };
    readonly token_response_headers?: readonly string[];
    /** Lifetime of a token whose answer names none; 0: it does not expire. */
    readonly token_expires_in_ms?: number;
    readonly additional_steps?: readonly LoginStep[];
    readonly refresh_token_params?: ValueTrees;
    readonly refresh_token_headers?: Headers;
    readonly assertion?: AssertionKeys;
}

/** A signed statement made before a login call, `${credentials.assertion}` in its parameters. */
export interface AssertionKeys {
    readonly type?: 'jwt' | 'saml';
    readonly key: string;
    readonly lifetimeInSeconds?: number | string;
    readonly header?: Readonly<Record<string, string>>;
    readonly payload?: Readonly<Record<string, ValueTree>>;
    /** SAML only, as the schema lists them. */
    readonly [option: string]: unknown;
}

/** JWT, SIGNATURE, and TWO_STEP entries that sign a token of their own first. */
export interface SignedTokenKeys {
    readonly signature?: { readonly protocol: 'RSA' | 'HMAC' | 'EC' | 'WSSE'; readonly hmac_secret_encoding?: 'hex' | 'utf8' };
    readonly token?: {
        readonly signing_key?: string;
        readonly expires_in_ms: number;
        readonly header?: Readonly<Record<string, string>>;
        readonly payload?: Readonly<Record<string, string | readonly string[]>>;
    };
}

/** MCP_OAUTH2. */
export interface McpKeys {
    readonly client_registration?: 'dynamic' | 'static' | 'cimd';
    readonly registration_url?: string;
    readonly registration_params?: Readonly<Record<string, string | readonly string[]>>;
}

/** Names of code that serves single entries: `exceptions/` and `hooks/`. Empty text cancels an inherited name. */
export interface CodeKeys {
    readonly token_exchange_script?: string;
    readonly post_connection_script?: string;
    readonly pre_connection_deletion_script?: string;
    readonly credentials_verification_script?: string;
    readonly webhook_routing_script?: string;
}

export type ModeKeys = OAuth1Keys & TwoStepKeys & SignedTokenKeys & McpKeys & CodeKeys;
