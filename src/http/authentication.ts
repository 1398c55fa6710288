/** Who is calling: an API key, a connect session, or nobody (http-api §1.3). */
import type { FastifyRequest } from 'fastify';
import { findSession, isUsedUp, sessionTokenPattern, sessionUsedMessage } from '../connect/connect-session.ts';
import { flowLifetimeMs } from '../connect/redirect-flow.ts';
import * as apiKeys from '../store/api-keys.ts';
import type { KeyRead } from '../store/connections.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import { isAllowedAddress, plainAddress } from '../environments/allowed-addresses.ts';
import { canonicalKey, isKeyShaped, isUuidV4 } from '../environments/api-key-format.ts';
import { ApiError } from './errors.ts';
import type { Services } from './services.ts';

export interface CallerEnvironment {
    id: string;
}

export interface Principal {
    kind: 'key' | 'account key' | 'session' | 'nobody';
    /** Absent for account keys, and for keys whose environment was deleted. */
    environment: CallerEnvironment | undefined;
    /** Row id of the key. */
    keyId: string | undefined;
    scopes: readonly string[];
    /** What its requests are counted under. */
    bucket: string;
    session: SessionRead | undefined;
}

export interface Authentication<Found = unknown> {
    /** What the caller presents, for the description of the API. */
    by: 'nothing' | 'API key' | 'connect session' | 'connect session or API key' | 'connect session in query' | 'connect session in body';
    identify(request: FastifyRequest): Promise<{ principal: Principal; found: Found }>;
    /** For connecting: `assertUnused` is due before the handler, but after an answer that is replayed. */
    isForConnecting?: true;
}

const nobody: Principal = { kind: 'nobody', environment: undefined, keyId: undefined, scopes: [], bucket: '', session: undefined };
/** What a connect session may do besides connecting (http-api §1.4). */
const sessionScopes = ['environment:integrations:list'];

export const publicEndpoint: Authentication = { by: 'nothing', identify: () => Promise.resolve({ principal: nobody, found: undefined }) };

/**
 * A key, found by its hash. A hot endpoint passes a `lookUp` that finds its own row in the same statement.
 * @throws ApiError 401; 403 where the caller's address is not one of the key's
 */
export function apiKey<Found extends { key: KeyRead }>(
    services: Services,
    lookUp: (keyHash: string, request: FastifyRequest) => Promise<Found | undefined>,
): Authentication<Found>;
export function apiKey(services: Services): Authentication<{ key: KeyRead }>;
export function apiKey(
    services: Services,
    lookUp: (keyHash: string, request: FastifyRequest) => Promise<{ key: KeyRead } | undefined> = (hash) =>
        apiKeys.readByHash(services.database, hash),
): Authentication<{ key: KeyRead }> {
    const usage = new KeyUsage(services);
    const identify = async (request: FastifyRequest) => {
        const presented = bearer(request);
        if (presented === undefined) {
            throw ApiError.legacy(401, 'missing_auth_header', 'The Authorization header is missing.');
        }
        if (!isKeyShaped(presented)) {
            throw ApiError.legacy(401, 'invalid_secret_key_format', 'This is not an API key: expected "Bearer vk_…" or a UUID v4.');
        }
        const found = await firstFound(services.vault.hashes(canonicalKey(presented)), (hash) => lookUp(hash, request));
        const now = services.sources.now();
        if (found === undefined || (found.key.expires_at !== null && found.key.expires_at.getTime() <= now)) {
            throw ApiError.legacy(401, 'unknown_account', 'This API key is unknown, deleted or expired.');
        }
        if (found.key.allowed_cidrs !== null && !isAllowedAddress(found.key.allowed_cidrs, request.ip)) {
            throw ApiError.simple(403, 'forbidden', 'This API key may not be used from this address.');
        }
        usage.record(found.key, now, request);
        return { principal: keyPrincipal(found.key), found };
    };
    return { by: 'API key', identify };
}

/**
 * The session token as bearer.
 * @param purpose `connecting` is not for a single-use session that has succeeded; `watching` is for a while after its end, since what was
 *   begun before is finished after it (frontend contract §1.7)
 * @throws ApiError 401
 */
export const connectSession = (services: Services, purpose: 'reading' | 'connecting' | 'watching' = 'reading'): Authentication => ({
    by: 'connect session',
    ...(purpose === 'connecting' ? { isForConnecting: true as const } : {}),
    async identify(request) {
        const presented = bearer(request);
        if (presented === undefined) {
            throw ApiError.legacy(401, 'missing_auth_header', 'The Authorization header is missing.');
        }
        return { principal: await sessionPrincipal(services, presented, purpose === 'watching' ? flowLifetimeMs : 0), found: undefined };
    },
});

/** The session token as member `token` of the body: beacons carry no headers (http-api §4.5). @throws ApiError 401 */
export const sessionInBody = (services: Services): Authentication => ({
    by: 'connect session in body',
    async identify(request) {
        const { token } = (request.body ?? {}) as { token?: unknown };
        if (typeof token !== 'string' || token === '') {
            throw ApiError.legacy(401, 'missing_auth_header', 'The body carries no token.');
        }
        return { principal: await sessionPrincipal(services, token), found: undefined };
    },
});

/** Either, the session first. @throws ApiError 401 */
export function sessionOrApiKey(services: Services): Authentication {
    const asKey = apiKey(services);
    const asSession = connectSession(services);
    return {
        by: 'connect session or API key',
        identify: (request) => (bearer(request)?.startsWith('nango_connect_session_') ? asSession : asKey).identify(request),
    };
}

/** The session token in the query, as browsers send it to connect. @throws ApiError 401 */
export const sessionInQuery = (services: Services): Authentication => ({
    by: 'connect session in query',
    isForConnecting: true,
    async identify(request) {
        const query = request.query as Record<string, unknown>;
        const token = query['connect_session_token'];
        if (typeof token === 'string' && token !== '') {
            return { principal: await sessionPrincipal(services, token), found: undefined };
        }
        const publicKey = query['public_key'];
        if (publicKey === undefined || publicKey === '') {
            throw ApiError.legacy(401, 'missing_public_key', 'The request carries no connect_session_token.');
        }
        if (typeof publicKey !== 'string' || !isUuidV4(publicKey)) {
            throw ApiError.legacy(401, 'invalid_public_key', 'This is not a public key.');
        }
        throw ApiError.simple(401, 'deprecated_authentication', 'Public keys are not supported; create a connect session in your backend.');
    },
});

async function sessionPrincipal(services: Services, token: string, graceMs = 0): Promise<Principal> {
    if (!sessionTokenPattern.test(token)) {
        throw ApiError.legacy(401, 'invalid_connect_session_token_format', 'This is not a connect session token.');
    }
    const session = await findSession(services.connect, token, graceMs);
    if (session === undefined) {
        throw ApiError.legacy(401, 'unknown_connect_session_token', 'This connect session is unknown or has expired.');
    }
    if (session.environment_gone) {
        throw ApiError.legacy(401, 'unknown_account', 'The environment of this connect session was deleted.');
    }
    return principalOf(session);
}

/** @throws ApiError 401 for a single-use session that has succeeded */
export function assertUnused({ session }: Principal): void {
    if (session !== undefined && isUsedUp(session)) {
        throw ApiError.legacy(401, 'unknown_connect_session_token', sessionUsedMessage);
    }
}

export const principalOf = (session: SessionRead): Principal => ({
    kind: 'session',
    environment: { id: session.environment_id },
    keyId: undefined,
    scopes: sessionScopes,
    bucket: `sessions of ${session.environment_id}`,
    session,
});

const keyPrincipal = (key: KeyRead): Principal => ({
    kind: key.environment_id === null ? 'account key' : 'key',
    keyId: key.key_id,
    environment: key.environment_id === null || key.environment_gone ? undefined : { id: key.environment_id },
    scopes: key.scopes,
    bucket: key.key_id,
    session: undefined,
});

/** The text after the last `Bearer `; a header without that word is the key itself. */
function bearer(request: FastifyRequest): string | undefined {
    const header = request.headers.authorization;
    const presented = header?.slice(header.lastIndexOf('Bearer ') === -1 ? 0 : header.lastIndexOf('Bearer ') + 'Bearer '.length).trim();
    return presented === '' ? undefined : presented;
}

/** One hash in ordinary times; two while a pepper is being replaced. */
async function firstFound<T>(hashes: readonly string[], lookUp: (hash: string) => Promise<T | undefined>): Promise<T | undefined> {
    for (const hash of hashes) {
        const found = await lookUp(hash);
        if (found !== undefined) {
            return found;
        }
    }
    return undefined;
}

const usageResolutionMs = 60_000;

/** `last_used_at` and `last_used_ip`, written at most once a minute per key and never waited for. */
class KeyUsage {
    readonly #services: Services;
    readonly #written = new Map<string, number>();

    constructor(services: Services) {
        this.#services = services;
    }

    record(key: KeyRead, now: number, request: FastifyRequest): void {
        const last = Math.max(key.last_used_at?.getTime() ?? 0, this.#written.get(key.key_id) ?? 0);
        if (now - last < usageResolutionMs) {
            return;
        }
        this.#written.set(key.key_id, now);
        const { database, logger } = this.#services;
        apiKeys
            .touch(database.db, key.key_id, { at: new Date(now), ip: plainAddress(request.ip) })
            .catch((error: unknown) => logger.warn({ err: error }, 'last use of an API key not recorded'));
    }
}
