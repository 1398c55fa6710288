/** What an MCP server says about itself as a protected resource (RFC 9728): which authorization server, which resource, which scopes. */
import { ConnectFailure } from '../auth-mode.ts';
import type { DiscoveryCalls } from './discovery-calls.ts';
import { listOf, textOf, type JsonObject } from './json-document.ts';
import { insertWellKnown } from './well-known.ts';

export interface ProtectedResource {
    /** Sent with every request to the authorization server (RFC 8707 §2). */
    resource: string;
    /** Issuer identifier; `undefined`: the server names none. */
    issuer: string | undefined;
    /** What its challenge asks for (M4). */
    challengeScopes: readonly string[] | undefined;
}

const wellKnown = 'oauth-protected-resource';

/** @throws ConnectFailure when the metadata is that of another resource */
export async function findProtectedResource(calls: DiscoveryCalls, serverUrl: string): Promise<ProtectedResource> {
    const [challenge, atPath] = await Promise.all([askUnauthenticated(calls, serverUrl), calls.document(insertWellKnown(serverUrl, wellKnown))]);
    const { origin, pathname } = new URL(serverUrl);
    const found =
        (atPath && { document: atPath, identifier: serverUrl }) ??
        (pathname === '/' ? undefined : await documentOf(calls, `${origin}/.well-known/${wellKnown}`, origin)) ??
        (challenge.metadataUrl === undefined ? undefined : await documentOf(calls, challenge.metadataUrl, identifierOf(challenge.metadataUrl)));
    const { scopes: challengeScopes } = challenge;
    if (found === undefined) {
        return { resource: serverUrl, issuer: undefined, challengeScopes };
    }
    const resource = textOf(found.document, 'resource');
    if (resource === undefined || !isMetadataOf(resource, serverUrl, found.identifier)) {
        // M2: else a token for somebody else's server would be asked for, and handed to this one.
        throw new ConnectFailure('provider_config_err', 'The metadata of the MCP server is that of another resource (RFC 9728 §3.3).');
    }
    return { resource, issuer: listOf(found.document, 'authorization_servers')?.[0], challengeScopes };
}

interface Found {
    document: JsonObject;
    /** The resource that this address is for; `undefined`: it does not say. */
    identifier: string | undefined;
}

async function documentOf(calls: DiscoveryCalls, url: string, identifier: string | undefined): Promise<Found | undefined> {
    const document = await calls.document(url);
    return document && { document, identifier };
}

/**
 * RFC 9728 §3.3: what the metadata calls itself is what its address was made from, or the server itself. The former only where
 * it holds the server: same origin, and a path above or equal.
 */
export function isMetadataOf(resource: string, serverUrl: string, identifier: string | undefined): boolean {
    const named = URL.parse(resource);
    if (named === null || resource.includes('#')) {
        return false;
    }
    const server = new URL(serverUrl);
    if (named.href === server.href) {
        return true;
    }
    const isAbove = server.origin === named.origin && `${server.pathname}/`.startsWith(named.pathname.replace(/\/?$/, '/'));
    return isAbove && identifier !== undefined && named.href === URL.parse(identifier)?.href;
}

/** `https://host/.well-known/oauth-protected-resource/a` → `https://host/a` */
function identifierOf(metadataUrl: string): string | undefined {
    const url = URL.parse(metadataUrl);
    const prefix = `/.well-known/${wellKnown}`;
    return url !== null && (url.pathname === prefix || url.pathname.startsWith(`${prefix}/`))
        ? `${url.origin}${url.pathname.slice(prefix.length)}${url.search}`
        : undefined;
}

interface Challenge {
    metadataUrl?: string | undefined;
    scopes?: readonly string[] | undefined;
}

/** RFC 9728 §5.1. */
async function askUnauthenticated(calls: DiscoveryCalls, serverUrl: string): Promise<Challenge> {
    const response = await calls.get(serverUrl, { accept: 'application/json, text/event-stream', isBodyIgnored: true });
    return response?.status === 401 ? readChallenge(response.headers['www-authenticate'] ?? '') : {};
}

/** The parameters of a Bearer challenge (RFC 6750 §3, RFC 9110 §11.6.1). */
export function readChallenge(header: string): Challenge {
    const bearer = /(?:^|,)\s*bearer\s+(.*)$/is.exec(header.slice(0, 8192))?.[1] ?? '';
    const param = (name: string): string | undefined => {
        const found = new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, 'i').exec(bearer);
        return (found?.[1]?.replaceAll(/\\(.)/g, '$1') ?? found?.[2]) || undefined;
    };
    // RFC 6749 §3.3
    const scope = param('scope');
    const isScope = scope !== undefined && scope.length <= 1000 && /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(scope);
    return { metadataUrl: param('resource_metadata'), scopes: isScope ? scope.split(' ') : undefined };
}
