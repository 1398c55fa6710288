/** What a connection's `sealed_credentials` holds, field for field as the API returns it (auth-modes §1.1). */
import type { ExpirySource } from '../store/schema.ts';
import { withoutValueAt } from './json-path.ts';

export interface OAuth2Credentials {
    type: 'OAUTH2';
    access_token: string;
    refresh_token?: string;
    /** ISO 8601 with `Z`; absent when the provider names no lifetime. */
    expires_at?: string;
    /** The provider's whole token response. */
    raw: Record<string, unknown>;
    /** The OAuth app of this connection, where it is not the integration's. */
    config_override?: { client_id?: string; client_secret?: string };
}

export interface ApiKeyCredentials {
    type: 'API_KEY';
    apiKey: string;
}

export interface BasicCredentials {
    type: 'BASIC';
    username: string;
    password: string;
}

/** Client credentials grant (RFC 6749 §4.4): the client is the connection's own. */
export interface OAuth2ClientCredentials {
    type: 'OAUTH2_CC';
    token: string;
    client_id: string;
    /** `''` where a key takes its place. */
    client_secret: string;
    client_certificate?: string;
    client_private_key?: string;
    expires_at?: string;
    raw: Record<string, unknown>;
}

export interface OAuth1Credentials {
    type: 'OAUTH1';
    oauth_token: string;
    oauth_token_secret: string;
    raw: Record<string, unknown>;
}

export interface TbaCredentials {
    type: 'TBA';
    token_id: string;
    token_secret: string;
    config_override: { client_id?: string; client_secret?: string };
}

/** An installation token, of the modes APP and CUSTOM. */
export interface AppCredentials {
    type: 'APP';
    access_token: string;
    expires_at?: string;
    raw: Record<string, unknown>;
    /** The app's own JWT that bought the token. */
    jwtToken?: string;
}

/** Signed here, from what was submitted, which stays beside it under its own names: `privateKey`, `issuerId`, … */
export interface JwtCredentials {
    type: 'JWT';
    token: string;
    expires_at: string;
    [submitted: string]: unknown;
}

/** What one or more login calls gave, and what was submitted to make them. */
export interface TwoStepCredentials {
    type: 'TWO_STEP';
    token: string;
    refresh_token?: string;
    expires_at?: string;
    /** The last answer. */
    raw: unknown;
    /** One-time inputs of an assertion (R17): what renews the token, so it is shown to those only who ask for that. */
    assertionOption?: Readonly<Record<string, unknown>>;
    [submitted: string]: unknown;
}

/** A WSSE user name token. */
export interface SignatureCredentials {
    type: 'SIGNATURE';
    username: string;
    password: string;
    token: string;
    expires_at: string;
}

/** A login session of BILL. */
export interface BillCredentials {
    type: 'BILL';
    username: string;
    password: string;
    organization_id: string;
    dev_key: string;
    session_id: string;
    user_id: string;
    expires_at: string;
    raw: Record<string, unknown>;
}

/** Temporary keys of an assumed role. */
export interface AwsCredentials {
    type: 'AWS_SIGV4';
    role_arn: string;
    region: string;
    service: string;
    access_key_id: string;
    secret_access_key: string;
    session_token: string;
    expires_at: string;
    external_id: string;
    raw: Record<string, unknown>;
}

/** Of a connection that waits for its installation (auth-modes §4.3): what they will be, and nothing of them yet. */
export interface AwaitedCredentials {
    type: 'OAUTH2';
    access_token?: never;
    refresh_token?: never;
    expires_at?: never;
    raw?: never;
    config_override?: never;
}

/** NONE: nothing at all, not even a type. */
export interface NoCredentials {
    type?: never;
}

export type Credentials =
    | OAuth2Credentials
    | ApiKeyCredentials
    | BasicCredentials
    | OAuth2ClientCredentials
    | OAuth1Credentials
    | TbaCredentials
    | AppCredentials
    | JwtCredentials
    | TwoStepCredentials
    | SignatureCredentials
    | BillCredentials
    | AwsCredentials
    | AwaitedCredentials
    | NoCredentials;

/** As the column `credential_type` has it. */
export const credentialTypeOf = (credentials: Credentials): string => credentials.type ?? 'NONE';

/** Credentials as a provider has just given them. Times are milliseconds since the epoch. */
export interface Obtained {
    credentials: Credentials;
    /** When the request for them began (R11: lifetimes count from there). */
    obtainedAt: number;
    /** `null`: no expiry is known. */
    expiresAt: number | null;
    /** What says so (R16). */
    expiresAtSource?: ExpirySource | null;
    /** Connection configuration that the provider supplied along with them: checked, and it wins over what is stored (N3, R18). */
    derivedConfig?: Record<string, unknown>;
    /** To be renewed by then although the credentials live longer: something that came with them ends earlier, or is to be tried again. */
    renewBy?: number | undefined;
    /** Why the provider could not be asked about them, for people; absent: it confirmed them, or they are not tested. */
    unverified?: string | undefined;
    /** How long the provider wants to be left alone, where it said so to such a question. */
    retryAfterMs?: number | undefined;
    /** What went wrong without harm to the credentials; for the log. */
    notes?: readonly string[] | undefined;
}

/** The refresh token, whatever the mode calls it. */
export function refreshTokenOf(credentials: Credentials): string | undefined {
    switch (credentials.type) {
        case 'OAUTH2':
            return credentials.refresh_token;
        case 'TWO_STEP':
            return credentials.refresh_token ?? primaryRefreshToken(credentials);
        default:
            return undefined;
    }
}

/** The submitted field of a two-step login that is a refresh token itself, so that every login presents it. */
export const primaryRefreshField = (credentials: TwoStepCredentials): string | undefined =>
    Object.entries(credentials).find(([name, value]) => name !== 'refresh_token' && isRefreshTokenName(name) && typeof value === 'string')?.[0];

function primaryRefreshToken(credentials: TwoStepCredentials): string | undefined {
    const field = primaryRefreshField(credentials);
    return field === undefined ? undefined : (credentials[field] as string);
}

/** Every string that must not appear in a log line, message or error. */
export function secretsOf(credentials: Credentials): string[] {
    const found = new Set<string>();
    const visit = (value: unknown): void => {
        if (typeof value === 'string') {
            found.add(value);
        } else if (typeof value === 'object' && value !== null) {
            Object.values(value).forEach(visit);
        }
    };
    visit(credentials);
    return [...found];
}

/** Most names are too short; for the rest, letters decide. */
export const isRefreshTokenName = (name: string): boolean =>
    name.length >= 'refreshtoken'.length && name.replaceAll(/[^a-z]/gi, '').toLowerCase() === 'refreshtoken';

/**
 * A copy without refresh tokens: every member whose name, letters only and case-folded, is `refreshtoken`, at any depth
 * (http-api §8.2). Names such as `refresh_token_expires_in` stay.
 */
export function withoutRefreshTokens<T>(value: T): T {
    if (Array.isArray(value)) {
        return value.map(withoutRefreshTokens) as T;
    }
    if (typeof value !== 'object' || value === null) {
        return value;
    }
    // `fromEntries` defines members; an assignment would lose one that a provider named `__proto__`.
    return Object.fromEntries(
        Object.entries(value)
            .filter(([name]) => !isRefreshTokenName(name))
            .map(([name, member]) => [name, withoutRefreshTokens(member)]),
    ) as T;
}

/**
 * Credentials for callers who did not ask for what renews them.
 * @param refreshTokenPath into the answer of a two-step login, where its refresh token has another name
 */
export function withoutWhatRenews(credentials: Credentials | Record<string, never>, refreshTokenPath?: string): Record<string, unknown> {
    const stripped: Record<string, unknown> = withoutRefreshTokens({ ...credentials });
    if (credentials.type !== 'TWO_STEP') {
        return stripped;
    }
    const { assertionOption: _, ...shown } = stripped;
    return refreshTokenPath === undefined ? shown : { ...shown, raw: withoutValueAt(shown['raw'], refreshTokenPath) };
}
