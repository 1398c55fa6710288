/** What the suites about renewals share: a provider whose token server is ours, connections to renew, and a worker. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { credentialsPlace } from '../src/credentials/credential-places.ts';
import type { Credentials } from '../src/credentials/credential.ts';
import { sealIntegrationSecrets } from '../src/credentials/integration-secrets.ts';
import { openVault } from '../src/credentials/key-ring.ts';
import type { Vault } from '../src/credentials/vault.ts';
import { newRowId, systemSources } from '../src/sources.ts';
import { openDatabase, type Database } from '../src/store/database.ts';
import { findByName } from '../src/store/environments.ts';
import * as integrations from '../src/store/integrations.ts';
import type { IntegrationRow } from '../src/store/schema.ts';
import type { Postgres } from './postgres.ts';
import { startServer, type ServerProcess } from './server-process.ts';

export const provider = 'bench';
export const lifetimeMs = 3600_000;

export interface RenewalBench {
    databaseUrl: string;
    client: pg.Client;
    tokenServer: ServerProcess;
    /** Calls that the token server has answered. */
    answered(): Promise<number>;
    startValetkey(env: Record<string, string>): Promise<ServerProcess>;
    /** @returns the connection ids @param dueAt of the nth, ms since the epoch */
    addConnections(count: number, dueAt: (index: number) => number): Promise<string[]>;
    close(): Promise<void>;
}

export async function prepareRenewals(postgres: Postgres, tokenDelayMs: number): Promise<RenewalBench> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-bench-'));
    const created = await postgres.createDatabase();
    const tokenServer = await startServer('bench/token-server.ts', { DELAY_MS: String(tokenDelayMs) });
    const providersFile = join(directory, 'providers.json');
    const endpoints = { authorization_url: `${tokenServer.url}/authorize`, token_url: `${tokenServer.url}/token` };
    await writeFile(
        providersFile,
        JSON.stringify({ [provider]: { display_name: 'Bench', categories: ['other'], auth_mode: 'OAUTH2', ...endpoints } }),
    );
    const key = randomBytes(32);
    const startValetkey = (env: Record<string, string>): Promise<ServerProcess> =>
        startServer('bin/valetkey', {
            DATABASE_URL: created.url,
            VALETKEY_ENCRYPTION_KEY: key.toString('base64'),
            VALETKEY_PROVIDERS: providersFile,
            VALETKEY_EGRESS_ALLOW: '127.0.0.0/8',
            VALETKEY_RATE_LIMIT_PER_MIN: '1000000000',
            LOG_LEVEL: 'warn',
            ...env,
        });
    // Once, so that there are tables and keys.
    await (await startValetkey({ VALETKEY_ROLES: 'api' })).stop();
    const database = await openDatabase({ kind: 'postgres', url: created.url, poolSize: 2 });
    const vault = await openVault(database.db, [{ name: 'bench', key }], systemSources);
    const integration = await addIntegration(database, vault);
    const client = new pg.Client({ connectionString: created.url });
    await client.connect();
    return {
        databaseUrl: created.url,
        client,
        tokenServer,
        answered: async () => Number(await (await fetch(`${tokenServer.url}/count`)).text()),
        startValetkey,
        addConnections: (count, dueAt) => addConnections(client, vault, integration, count, dueAt),
        close: async () => {
            await client.end();
            await database.close();
            await tokenServer.stop();
            await created.drop();
            await rm(directory, { recursive: true, force: true });
        },
    };
}

async function addIntegration({ db }: Database, vault: Vault): Promise<IntegrationRow> {
    const key = { id: newRowId(systemSources), environment_id: (await findByName(db, 'dev'))!.id };
    const now = new Date();
    return (await integrations.insert(db, {
        ...key,
        ...sealIntegrationSecrets(vault, key, { clientSecret: randomBytes(24).toString('base64url'), extras: {} }),
        unique_key: provider,
        provider,
        display_name: null,
        oauth_client_id: 'client',
        oauth_scopes: null,
        allowed_hosts: null,
        created_at: now,
        updated_at: now,
        deleted_at: null,
    }))!;
}

const atOnce = 1_000;

async function addConnections(
    client: pg.Client,
    vault: Vault,
    integration: IntegrationRow,
    count: number,
    dueAt: (index: number) => number,
): Promise<string[]> {
    const connectionIds: string[] = [];
    for (let start = 0; start < count; start += atOnce) {
        const rows = Array.from({ length: Math.min(atOnce, count - start) }, (_, index) => {
            const key = { id: newRowId(systemSources), environment_id: integration.environment_id };
            const connectionId = `user-${key.id}`;
            connectionIds.push(connectionId);
            const due = dueAt(start + index);
            return {
                ...key,
                connection_id: connectionId,
                sealed: vault.sealJson(newCredentials(), credentialsPlace(key)),
                due: new Date(due),
                // As if it had been obtained when its margin says; what it was due at is kept, to tell how late it was renewed.
                obtained: new Date(due - (lifetimeMs * 3) / 4),
                expires: new Date(due + lifetimeMs / 4),
                metadata: { due },
            };
        });
        await client.query(
            `insert into connections (id, environment_id, integration_id, provider, connection_id, credential_type, sealed_credentials, credentials_obtained_at,
                credentials_expires_at, auth_state, next_refresh_at, metadata, created_at, updated_at)
             select id, environment_id, $2, $3, connection_id, 'OAUTH2', sealed, obtained, expires, 'ok', due, metadata, now(), now()
             from jsonb_to_recordset($1) as row (id uuid, environment_id uuid, connection_id text, sealed text, due timestamptz, obtained timestamptz,
                expires timestamptz, metadata jsonb)`,
            [JSON.stringify(rows), integration.id, provider],
        );
    }
    // as autovacuum would, some time later
    await client.query('vacuum analyze');
    return connectionIds;
}

/** The size of a usual OAuth 2 grant. */
function newCredentials(): Credentials {
    const access = randomBytes(90).toString('base64url');
    const refresh = randomBytes(45).toString('base64url');
    const raw = { access_token: access, refresh_token: refresh, expires_in: lifetimeMs / 1000, token_type: 'Bearer', scope: 'read write' };
    return { type: 'OAUTH2', access_token: access, refresh_token: refresh, expires_at: new Date(Date.now() + lifetimeMs).toISOString(), raw };
}

/** Waits until the token server has answered so many calls, and what they brought is stored. */
export async function untilRenewed({ answered, client }: RenewalBench, count: number, withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    const isOver = async (): Promise<boolean> => {
        if ((await answered()) < count) {
            return false;
        }
        const { rows } = await client.query<{ open: number }>('select count(*)::int as open from connections where next_refresh_at <= now()');
        return rows[0]!.open === 0;
    };
    while (!(await isOver())) {
        if (performance.now() > end) {
            throw new Error(`${await answered()} of ${count} renewals within ${withinMs} ms`);
        }
        await delay(250);
    }
}
