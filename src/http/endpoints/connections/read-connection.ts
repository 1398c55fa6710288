/** GET /connections/:connectionId: the endpoint that backends live on. One round trip to Postgres while the token is fresh. */
import { z } from 'zod';
import { credentialsPlace } from '../../../credentials/credential-places.ts';
import { isRetriedByRead, type RenewalResult } from '../../../credentials/leased-renewal.ts';
import { openConfig } from '../../../credentials/connection-secrets.ts';
import type { Credentials } from '../../../credentials/credential.ts';
import { isServable, lifetimeOf } from '../../../credentials/expiry.ts';
import { VaultError } from '../../../credentials/vault.ts';
import * as connections from '../../../store/connections.ts';
import type { ConnectionRead, KeyAndConnection } from '../../../store/connections.ts';
import { apiKey } from '../../authentication.ts';
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
    force_refresh: QueryBool.default(false),
    refresh_token: QueryBool.default(false),
    refresh_github_app_jwt_token: QueryBool.default(false),
});

export const readConnection = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/connections/:connectionId', '/connection/:connectionId'],
        tag: 'Connections',
        summary: 'A connection with fresh credentials',
        // Raw input: it is validated after authentication, and anything that cannot be a key finds nothing.
        authenticate: apiKey<KeyAndConnection>(services, (keyHash, request) => {
            const query = request.query as Record<string, unknown>;
            const params = request.params as Record<string, string>;
            return connections.readByKey(services.database, keyHash, text(query['provider_config_key']), text(params['connectionId']));
        }),
        access: ['environment:connections:read', readCredentials],
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
            const fresh = await freshRow(services, row, query.force_refresh, startedAt);
            assertServable(fresh, services.sources.now());
            const opened = await openSealed(services, fresh);
            services.fetched.note(fresh);
            return connectionView(fresh, { ...opened, includeRefreshToken: query.refresh_token, lastFetchedAt: new Date(services.sources.now()) });
        },
    });

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
    if (!force && !isDue && !isRetriedByRead(row, now)) {
        return row;
    }
    const result = await services.renewals.renew(row.id, { force, since: startedAt }).catch((error: unknown): RenewalResult => {
        services.logger.error({ err: error, connection_row: row.id }, 'a renewal could not be carried out');
        return { kind: 'busy' };
    });
    const after = await connections.readById(services.database.db, row.id);
    if (after === undefined) {
        throw ApiError.simple(404, 'not_found', 'There is no connection with this id.');
    }
    if (force && result.kind === 'failed') {
        const status = result.failure.type === 'credentials_unreadable' ? 500 : 400;
        throw unusable(after, status, result.failure.type, `The credentials could not be renewed: ${result.failure.message}`);
    }
    if (result.kind === 'busy' && (force || !isServable(lifetimeOf(after), services.sources.now()))) {
        throw unusable(after, 424, 'connection_refresh_backoff', 'Another renewal of this connection has not finished in time.', {
            'retry-after': '30',
        });
    }
    return after;
}

async function openSealed(services: Services, row: ConnectionRead): Promise<{ credentials: Credentials; connectionConfig: Record<string, unknown> }> {
    const { vault } = services;
    try {
        const credentials = JSON.parse(await vault.openFresh(row.sealed_credentials, credentialsPlace(row))) as Credentials;
        return { credentials, connectionConfig: await openConfig(vault, row) };
    } catch (error) {
        if (error instanceof VaultError) {
            services.logger.error({ err: error, connection_row: row.id }, 'stored credentials cannot be opened');
            throw unusable(row, 500, 'credentials_unreadable', 'The stored credentials cannot be opened.');
        }
        throw error;
    }
}
