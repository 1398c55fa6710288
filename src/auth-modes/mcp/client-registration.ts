/** An OAuth client that was registered by software, in the terms of RFC 7591, which is also how it is stored. */
import { createHash } from 'node:crypto';
import type { TokenRequest } from '../token-endpoint.ts';

/** RFC 7591 §2; a method that needs a key of ours is not asked for, and refused when it is granted. */
export const clientAuthMethods = ['none', 'client_secret_post', 'client_secret_basic'] as const;
export type ClientAuthMethod = (typeof clientAuthMethods)[number];

/** What a grant was given to: kept with the flow, then sealed with the connection, whatever is registered later. */
export interface Client {
    client_id: string;
    /** Absent: a public client, which sends no secret parameter at all (M3). */
    client_secret?: string;
    /** Seconds since the epoch; absent: never. */
    client_secret_expires_at?: number;
    token_endpoint_auth_method: ClientAuthMethod;
    redirect_uris: readonly string[];
}

export interface ClientRegistration extends Client {
    /** The authorization server: its issuer, or its registration endpoint where the catalogue knows no issuer. */
    server: string;
    /** RFC 7592. Both or neither. */
    registration_access_token?: string;
    registration_client_uri?: string;
}

/** How the client is presented to people who are asked for their consent. */
export interface ClientIdentity {
    client_name: string;
    client_uri?: string;
    logo_uri?: string;
}

export interface RegistrationRequest {
    endpoint: string;
    server: string;
    redirectUri: string;
    identity: ClientIdentity;
    /** `undefined`: the server's defaults. */
    grantTypes: readonly string[] | undefined;
    responseTypes: readonly string[] | undefined;
    /** The methods that the server's metadata names; `undefined`: it names none. */
    authMethods: readonly string[] | undefined;
}

/** One registration per server and redirect URI; neither can contain the separator. */
export const registrationKey = ({ server, redirectUri }: Pick<RegistrationRequest, 'server' | 'redirectUri'>): string =>
    createHash('sha256').update(`${server}\n${redirectUri}`).digest('base64url');

export const isSameClient = (a: Client, b: Client): boolean => a.client_id === b.client_id && a.client_secret === b.client_secret;

/** RFC 7591 §3.2.1. @param now ms */
export const hasExpired = ({ client_secret_expires_at: seconds }: Client, now: number): boolean => seconds !== undefined && seconds * 1000 <= now;

/** Without what it is managed with. */
export const clientOf = ({
    server: _server,
    registration_access_token: _token,
    registration_client_uri: _uri,
    ...client
}: ClientRegistration): Client => client;

/** Exactly one method per request (N7). */
export function authenticatedAs(client: Client): Pick<TokenRequest, 'clientId' | 'clientSecret' | 'clientAuthentication'> {
    const method = client.token_endpoint_auth_method;
    return {
        clientId: client.client_id,
        clientSecret: method === 'none' ? '' : (client.client_secret ?? ''),
        clientAuthentication: method === 'client_secret_basic' ? 'basic' : 'body',
    };
}
