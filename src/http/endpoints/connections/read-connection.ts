/** GET /connections/:connectionId: the endpoint that backends live on. One round trip to Postgres while the token is fresh. */
import { z } from 'zod';
import { ConnectFailure } from '../../../auth-modes/auth-mode.ts';
import { authModes } from '../../../auth-modes/index.ts';
import { isSignedHere } from '../../../auth-modes/local-tokens.ts';
import { credentialsPlace } from '../../../credentials/credential-places.ts';
import { isRetriedByRead, type RenewalResult } from '../../../credentials/leased-renewal.ts';
import { openShownConfig } from '../../../credentials/connection-secrets.ts';
import type { Credentials } from '../../../credentials/credential.ts';
import { isServable, lifetimeOf } from '../../../credentials/expiry.ts';
import { TokenFailure } from '../../../credentials/token-failure.ts';
import { VaultError } from '../../../credentials/vault.ts';
import * as connections from '../../../store/connections.ts';
import type { ConnectionRead, KeyAndConnection } from '../../../store/connections.ts';
import { apiKey } from '../../authentication.ts';
import { ConnectionObject } from '../../connection-schema.ts';
import { assertServable, connectionView, unusable, withoutCredentials } from '../../connection-view.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ConnectionId, IntegrationKey, QueryBool } from '../../field-types.ts';
import { hasScope } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { isStorable } from '../../storable-text.ts';

const readCredentials = 'environment:connections:read_credentials';

const Query = z.strictObject({
    provider_config_key: IntegrationKey,
    force_refresh: QueryBool.default(false).describe('Renew now, where the credentials can be renewed.'),
    refresh_token: QueryBool.default(false).describe('Include refresh tokens.'),
    refresh_github_app_jwt_token: QueryBool.default(false).describe('Put a valid JWT of the GitHub App into `connection_config.jwtToken`.'),
});

export const readConnection = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/connections/:connectionId', '/connection/:connectionId'],
        tag: 'Connections',
        summary: 'Read a connection with fresh credentials',
        description:
            'Credentials are renewed before they expire; a token that still works is handed out whatever became of its last renewal, and `errors` says so. ' +
            'Without the scope `environment:connections:read_credentials`, `credentials` is `{}` and the flags are refused.\n\n' +
            'Credentials that cannot be handed out answer `invalid_credentials`, with the connection without them in `error.payload.connection`: 400 after a ' +
            'forced renewal that failed, 424 while renewing fails (`Retry-After` says how long to wait) or when the user has to reconnect.',
        // Raw input: it is validated after authentication, and anything that cannot be a key finds nothing.
        authenticate: apiKey<KeyAndConnection>(services, (keyHash, request) => {
            const query = request.query as Record<string, unknown>;
            const params = request.params as Record<string, string>;
            return connections.readByKey(services.database, keyHash, text(query['provider_config_key']), text(params['connectionId']));
        }),
        access: ['environment:connections:read', readCredentials],
        answers: { 200: ConnectionObject },
        errors: {
            400: ['unknown_provider_config', 'invalid_credentials'],
            404: ['not_found'],
            424: ['invalid_credentials'],
            500: ['invalid_credentials', 'server_error'],
        },
        query: Query,
        params: z.object({ connectionId: ConnectionId }),
        noStore: true,
        async handle({ query, principal, found }) {
            const startedAt = services.sources.now();
            const mayReadCredentials = hasScope(principal.scopes, readCredentials);
            if (!mayReadCredentials && (query.force_refresh || query.refresh_token || query.refresh_github_app_jwt_token)) {
                throw ApiError.simple(403, 'forbidden', `Insufficient scope. Required: ${readCredentials}`);
            }
            const row = existing(found);
            if (!mayReadCredentials) {
                return withoutCredentials(row);
            }
            try {
                // Nothing is renewed where the token is signed here; below, a new one is.
                const isForced = query.force_refresh && !services.localTokens.areOf(row.provider);
                let fresh = await freshRow(services, row, isForced, startedAt);
                assertServable(fresh, services.sources.now());
                if (query.refresh_github_app_jwt_token) {
                    fresh = await withAppJwt(services, fresh);
                }
                const opened = await openSealed(services, fresh);
                if (isSignedHere(opened.credentials)) {
                    opened.credentials = await signedToken(services, fresh, opened, query.force_refresh);
                }
                services.fetched.note(fresh);
                return connectionView(fresh, {
                    ...opened,
                    includeRefreshToken: query.refresh_token,
                    refreshTokenPath: services.catalogue.get(fresh.provider)?.entry.token_response?.refresh_token,
                    lastFetchedAt: new Date(services.sources.now()),
                });
            } catch (error) {
                throw error instanceof ApiError ? error : unexpected(services, row, error);
            }
        },
    });

/** @throws ApiError when none can be signed: the entry has changed, or is gone */
async function signedToken(
    services: Services,
    row: ConnectionRead,
    stored: { credentials: Credentials; connectionConfig: Record<string, unknown> },
    force: boolean,
): Promise<Credentials> {
    try {
        return await services.localTokens.present(row, stored, { force });
    } catch (error) {
        throw error instanceof ConnectFailure ? unusable(row, force ? 400 : 424, error.type, error.message) : error;
    }
}

const text = (value: unknown): string => (typeof value === 'string' && isStorable(value) ? value : '');

function existing(found: KeyAndConnection): ConnectionRead {
    if (!found.integrationExists) {
        throw ApiError.simple(400, 'unknown_provider_config', 'There is no integration with this provider_config_key.');
    }
    if (found.connection === undefined) {
        throw ApiError.simple(404, 'not_found', 'There is no connection with this id.');
    }
    return found.connection;
}

/** The row as it is after whatever renewal it needed. @throws ApiError when a forced renewal failed */
async function freshRow(services: Services, row: ConnectionRead, force: boolean, startedAt: number): Promise<ConnectionRead> {
    const now = services.sources.now();
    const isDue = row.next_refresh_at !== null && row.next_refresh_at.getTime() <= now;
    // What was typed in is due to be tested, by the worker and not on read (http-api §8.2).
    if ((!force && !isDue && !isRetriedByRead(row, now)) || isTested(services, row)) {
        return row;
    }
    const result = await services.renewals.renew(row.id, { force, since: startedAt }).catch((error: unknown): RenewalResult => {
        services.logger.error({ err: error, connection_row: row.id }, 'a renewal could not be carried out');
        return { kind: 'busy' };
    });
    const after = await readAgain(services, row.id);
    if (force && result.kind === 'failed') {
        const status = result.failure.type === 'credentials_unreadable' ? 500 : 400;
        throw unusable(after, status, result.failure.type, `The credentials could not be renewed: ${result.failure.message}`);
    }
    if (result.kind === 'put-back' && (force || !isServable(lifetimeOf(after), services.sources.now()))) {
        const wait = Math.max(1, Math.ceil((result.until - services.sources.now()) / 1000));
        throw unusable(after, 424, 'connection_refresh_backoff', 'The token endpoint of this provider does not answer, or is busy.', {
            'retry-after': String(wait),
        });
    }
    if (result.kind === 'busy' && (force || !isServable(lifetimeOf(after), services.sources.now()))) {
        throw unusable(after, 424, 'connection_refresh_backoff', 'Another renewal of this connection has not finished in time.', {
            'retry-after': '30',
        });
    }
    return after;
}

const isTested = ({ catalogue }: Services, row: ConnectionRead): boolean =>
    authModes.get(catalogue.get(row.provider)?.authMode ?? '')?.retest !== undefined;

/** The row with a valid JWT of its app, where there is an app behind it. @throws ApiError when none can be signed */
async function withAppJwt(services: Services, row: ConnectionRead): Promise<ConnectionRead> {
    try {
        await services.renewals.renewAppJwt(row.id);
    } catch (error) {
        if (error instanceof TokenFailure) {
            throw unusable(row, 400, error.type, `The JWT of the app could not be renewed: ${error.message}`);
        }
        if (error instanceof VaultError) {
            throw unreadable(services, row, error);
        }
        throw error;
    }
    return readAgain(services, row.id);
}

async function readAgain(services: Services, id: string): Promise<ConnectionRead> {
    const row = await connections.readById(services.database.db, id);
    if (row === undefined) {
        throw ApiError.simple(404, 'not_found', 'There is no connection with this id.');
    }
    return row;
}

/** http-api §8.2 has a code of its own for it. */
function unexpected({ logger }: Services, row: ConnectionRead, error: unknown): ApiError {
    logger.error({ err: error, connection_row: row.id }, 'a connection could not be read');
    return ApiError.simple(500, 'server_error', 'Something went wrong in Valetkey; its log has the details.');
}

function unreadable({ logger }: Services, row: ConnectionRead, error: VaultError): ApiError {
    logger.error({ err: error, connection_row: row.id }, 'stored credentials cannot be opened');
    return unusable(row, 500, 'credentials_unreadable', 'The stored credentials cannot be opened.');
}

async function openSealed(services: Services, row: ConnectionRead): Promise<{ credentials: Credentials; connectionConfig: Record<string, unknown> }> {
    const { vault } = services;
    try {
        const credentials = JSON.parse(await vault.openFresh(row.sealed_credentials, credentialsPlace(row))) as Credentials;
        return { credentials, connectionConfig: await openShownConfig(vault, row) };
    } catch (error) {
        if (error instanceof VaultError) {
            throw unreadable(services, row, error);
        }
        throw error;
    }
}
