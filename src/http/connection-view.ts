/** A connection as the API shows it (http-api §8.2). */
import { isServable, lifetimeOf } from '../credentials/expiry.ts';
import { withoutWhatRenews, withoutRefreshTokens, type Credentials } from '../credentials/credential.ts';
import type { ConnectionRead } from '../store/connections.ts';
import { ApiError } from './errors.ts';

export interface ViewOptions {
    credentials: Credentials | Record<string, never>;
    /** With its secrets, for those who may read credentials. */
    connectionConfig: Record<string, unknown>;
    includeRefreshToken: boolean;
    /** Where a two-step login's answer holds a refresh token under a name of its own (http-api §8.2). */
    refreshTokenPath?: string | undefined;
    lastFetchedAt: Date | null;
}

export function connectionView(row: ConnectionRead, options: ViewOptions): Record<string, unknown> {
    const { credentials, connectionConfig, includeRefreshToken, refreshTokenPath } = options;
    return {
        id: row.public_id,
        connection_id: row.connection_id,
        provider: row.provider,
        provider_config_key: row.provider_config_key,
        errors: activeErrors(row),
        post_connection_status: row.post_connection_status,
        end_user: row.end_user,
        tags: row.tags,
        metadata: row.metadata,
        connection_config: includeRefreshToken ? connectionConfig : withoutRefreshTokens(connectionConfig),
        webhook_url_override: row.webhook_url_override,
        created_at: offsetDate(row.created_at),
        updated_at: offsetDate(row.updated_at),
        last_fetched_at: options.lastFetchedAt === null ? null : offsetDate(options.lastFetchedAt),
        credentials_expires_at: row.credentials_expires_at && offsetDate(row.credentials_expires_at),
        credentials_expires_at_source: row.credentials_expires_at_source,
        refresh_token_expires_at: row.refresh_token_expires_at && offsetDate(row.refresh_token_expires_at),
        credentials: includeRefreshToken ? credentials : withoutWhatRenews(credentials, refreshTokenPath),
    };
}

/**
 * What an import is answered with: as above, but nothing is left out of the credentials, dates are written with `Z`, and the
 * end user is shown only if this call has named one (http-api §8.3).
 */
export const importedView = (
    row: ConnectionRead,
    imported: { credentials: Credentials; connectionConfig: Record<string, unknown>; isEndUserGiven: boolean },
): Record<string, unknown> => ({
    ...connectionView(row, {
        credentials: imported.credentials,
        connectionConfig: imported.connectionConfig,
        includeRefreshToken: true,
        lastFetchedAt: null,
    }),
    end_user: imported.isEndUserGiven ? row.end_user : null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    last_fetched_at: row.last_fetched_at?.toISOString() ?? null,
    credentials_expires_at: row.credentials_expires_at?.toISOString() ?? null,
    refresh_token_expires_at: row.refresh_token_expires_at?.toISOString() ?? null,
});

export const activeErrors = (row: Pick<ConnectionRead, 'auth_error'>): { type: 'auth'; log_id: string }[] =>
    row.auth_error === null ? [] : [{ type: 'auth', log_id: row.auth_error.log_id }];

/** Milliseconds with `+00:00` (http-api §1.12). */
export const offsetDate = (date: Date): string => `${date.toISOString().slice(0, -1)}+00:00`;

/**
 * R4: a token with life left is handed out whatever became of its last renewal.
 * @throws ApiError 424 `invalid_credentials` when it is spent and cannot be renewed now
 */
export function assertServable(row: ConnectionRead, now: number): void {
    const isStruggling = row.auth_state === 'needs_reauth' || row.auth_state === 'degraded' || row.auth_state === 'unavailable';
    if (!isStruggling || isServable(lifetimeOf(row), now)) {
        return;
    }
    if (row.auth_state === 'needs_reauth') {
        throw unusable(row, 424, 'connection_refresh_exhausted', 'The provider no longer accepts this grant; the user has to reconnect.');
    }
    const wait = row.next_refresh_at === null ? undefined : Math.max(1, Math.ceil((row.next_refresh_at.getTime() - now) / 1000));
    throw unusable(
        row,
        424,
        'connection_refresh_backoff',
        `The access token has expired and its last renewal failed: ${row.auth_error?.description ?? 'unknown reason'}`,
        wait === undefined ? {} : { 'retry-after': String(wait) },
    );
}

/** For callers who may not read credentials, and for answers about credentials that cannot be read. */
export const withoutCredentials = (row: ConnectionRead): Record<string, unknown> =>
    connectionView(row, { credentials: {}, connectionConfig: row.connection_config, includeRefreshToken: false, lastFetchedAt: row.last_fetched_at });

/** The answer for credentials that cannot be handed out: the connection without them, and why. */
export const unusable = (row: ConnectionRead, status: number, type: string, message: string, headers: Record<string, string> = {}): ApiError =>
    ApiError.withPayload(status, 'invalid_credentials', message, { type, connection: withoutCredentials(row) }, headers);
