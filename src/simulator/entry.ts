/** A provider as its catalogue entry describes it, for the twins: what Valetkey makes of the same entry is not known here. */

export interface Field {
    readonly title?: string;
    readonly format?: string;
    readonly pattern?: string;
    readonly enum?: readonly string[];
    readonly example?: string;
    readonly default_value?: string;
    readonly optional?: boolean;
    readonly hidden?: boolean;
    readonly automated?: boolean;
    readonly visible_when?: { readonly field: string; readonly equals: string };
}

export type Fields = Readonly<Record<string, Field>>;
type Params = Readonly<Record<string, unknown>>;
type Headers = Readonly<Record<string, string>>;

export interface Step {
    readonly token_url: string;
    readonly token_params?: Params;
    readonly token_headers?: Headers;
    readonly token_request_method?: string;
    readonly body_format?: string;
}

/** An entry with its alias expanded. Keys are the catalogue's own. */
export interface Entry {
    readonly slug: string;
    readonly alias?: string;
    readonly auth_mode: string;
    readonly display_name: string;
    readonly categories?: readonly string[];
    readonly installation?: string;

    readonly authorization_url?: string;
    readonly authorization_params?: Params;
    readonly authorization_url_skip_encode?: readonly string[];
    readonly authorization_url_skip_empty?: boolean;
    readonly authorization_url_replacements?: Readonly<Record<string, string>>;
    readonly authorization_url_fragment?: string;
    readonly authorization_code_param_in_callback?: string;
    readonly disable_pkce?: boolean;
    readonly scope_separator?: string;
    readonly default_scopes?: readonly string[];

    readonly request_url?: string;
    readonly request_params?: Params;
    readonly signature_method?: string;

    readonly token_url?: string | Readonly<Record<string, string>>;
    readonly token_params?: Params;
    readonly token_headers?: Headers;
    readonly token_request_method?: string;
    readonly token_request_auth_method?: string;
    readonly basic_encoding?: string;
    readonly authorization_method?: string;
    readonly body_format?: string;
    readonly expires_in_unit?: string;
    readonly alternate_access_token_response_path?: string;
    readonly token_response_metadata?: readonly string[];
    readonly redirect_uri_metadata?: readonly string[];
    readonly webhook_response_metadata?: readonly string[];

    readonly token_response?: {
        readonly token: string;
        readonly token_expiration?: string;
        readonly token_expiration_strategy?: string;
        readonly refresh_token?: string;
    };
    readonly token_response_headers?: readonly string[];
    readonly additional_steps?: readonly Step[];

    readonly assertion?: {
        readonly type: string;
        readonly key?: string;
        readonly header?: Params;
        readonly payload?: Params;
        readonly issuer?: string;
        readonly audiences?: string;
        readonly recipient?: string;
        readonly nameIdentifier?: string;
    };
    readonly signature?: { readonly protocol: string; readonly hmac_secret_encoding?: string };
    readonly token?: {
        readonly signing_key?: string;
        readonly expires_in_ms: number;
        readonly header?: Params;
        readonly payload?: Params;
    };

    readonly refresh_url?: string;
    readonly refresh_params?: Params;
    readonly refresh_token_params?: Params;
    readonly refresh_token_headers?: Headers;
    readonly revocation_url?: string;

    readonly client_registration?: string;
    readonly registration_url?: string;

    readonly connection_config?: Fields;
    readonly credentials?: Fields;
    readonly integration_config?: Fields;
    readonly assertion_option?: Fields;

    readonly proxy?: {
        readonly base_url?: string;
        readonly headers?: Headers;
        readonly query?: Headers;
        readonly body?: Params;
        readonly verification?: {
            readonly method?: string;
            readonly endpoints: readonly string[];
            readonly headers?: Headers;
            readonly data?: Params;
            readonly base_url_override?: string;
        };
    };
}

/** Of entries with one token endpoint. */
export const tokenUrlOf = ({ token_url: url }: Entry): string => (typeof url === 'string' ? url : '');
