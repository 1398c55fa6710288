/**
 * The client metadata document of an integration (OAuth Client ID Metadata Documents): an authorization server that knows these
 * takes its address for a client id, and nobody registers anything (auth-modes §13.3, http-api §11.7).
 */
import type { ClientIdentity } from './client-registration.ts';

interface Named {
    environmentId: string;
    uniqueKey: string;
}

/** Its address, which is the client id. `undefined`: this server has no https address that others could fetch it from. */
export const clientMetadataUrl = (publicUrl: string, { environmentId, uniqueKey }: Named): string | undefined =>
    publicUrl.startsWith('https:') ? `${publicUrl}/oauth/client-metadata/${environmentId}/${encodeURIComponent(uniqueKey)}` : undefined;

/** As the operator wants it to be shown, from the integration's own values. */
export function clientIdentity(custom: Readonly<Record<string, string>> | undefined): ClientIdentity {
    const { oauth_client_name: name, oauth_client_uri: uri, oauth_client_logo_uri: logo } = custom ?? {};
    return {
        client_name: name || 'Valetkey',
        ...(isAddress(uri) ? { client_uri: uri } : {}),
        ...(isAddress(logo) ? { logo_uri: logo } : {}),
    };
}

const isAddress = (text: string | undefined): text is string => text !== undefined && URL.parse(text)?.protocol === 'https:';

export function clientMetadata(publicUrl: string, clientId: string, identity: ClientIdentity, redirectUri: string) {
    return {
        client_id: clientId,
        client_uri: publicUrl,
        ...identity,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none' as const,
    };
}
