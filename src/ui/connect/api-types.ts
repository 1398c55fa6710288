/** What the server answers (frontend contract §2.5), as far as the page reads it. */

export interface Palette {
    readonly primary: string;
}

export interface UiSettings {
    readonly showWatermark: boolean;
    readonly defaultTheme: 'light' | 'dark' | 'system';
    readonly theme: { readonly light: Palette; readonly dark: Palette };
    /** Ask to be closed shortly after success, in place of a button (§7.36). */
    readonly closeOnSuccess?: boolean;
}

export interface Outcome {
    readonly status: 'success' | 'error';
    readonly provider_config_key?: string;
    readonly connection_id?: string;
    readonly is_pending?: boolean;
    readonly error?: { readonly type: string; readonly description: string };
}

export type Presets = Readonly<Record<string, unknown>>;

export interface Session {
    readonly connectUISettings: UiSettings;
    readonly allowed_integrations?: readonly string[];
    readonly integrations_config_defaults?: Readonly<Record<string, { readonly connection_config?: Presets }>>;
    readonly overrides?: Readonly<Record<string, { readonly docs_connect?: string }>>;
    readonly isReconnecting?: true;
    readonly return_url?: string;
    /** Once an attempt has succeeded: that address with the outcome, signed. */
    readonly return_to?: string;
}

export interface Integration {
    readonly unique_key: string;
    readonly provider: string;
    readonly display_name: string;
    readonly logo: string;
    readonly credentials_label?: Readonly<Record<string, string>>;
    readonly preconfigured_credentials?: readonly string[];
}

/** One input as the catalogue declares it. */
export interface Definition {
    readonly title?: string;
    readonly description?: string;
    readonly format?: 'hostname' | 'uri' | 'uuid' | 'email';
    readonly pattern?: string;
    readonly enum?: readonly string[];
    readonly example?: string;
    readonly default_value?: string;
    readonly prefix?: string;
    readonly suffix?: string;
    readonly order?: number;
    readonly optional?: boolean;
    readonly secret?: boolean;
    readonly hidden?: boolean;
    readonly automated?: boolean;
    readonly doc_section?: string;
}

export type Definitions = Readonly<Record<string, Definition>>;

export interface Provider {
    readonly name: string;
    readonly display_name: string;
    readonly auth_mode: string;
    readonly installation?: string;
    readonly docs_connect?: string;
    /** A good size for the window of the consent page. */
    readonly popup?: { readonly width?: number; readonly height?: number };
    readonly require_client_certificate?: boolean;
    readonly token_request_auth_method?: string;
    readonly connection_config?: Definitions;
    readonly credentials?: Definitions;
    readonly integration_config?: Definitions;
    readonly assertion_option?: Definitions;
}

export interface FlowStatus {
    readonly state: 'unknown' | 'started' | 'returned' | 'done';
    readonly outcome: Outcome | null;
}

/** What a connection is to its caller. */
export interface Connected {
    readonly providerConfigKey: string;
    readonly connectionId: string;
    readonly isPending: boolean;
}
