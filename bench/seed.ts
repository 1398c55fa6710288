/** Connections to read: through Valetkey's own vault and store, and the same credentials again for the bare server. */
import { createCipheriv, randomBytes } from 'node:crypto';
import pg from 'pg';
import { openVault } from '../src/credentials/key-ring.ts';
import { credentialsPlace } from '../src/credentials/credential-places.ts';
import { credentialTypeOf, type Credentials } from '../src/credentials/credential.ts';
import { newRowId, systemSources } from '../src/sources.ts';
import * as connections from '../src/store/connections.ts';
import { json, openDatabase } from '../src/store/database.ts';
import { findByName } from '../src/store/environments.ts';
import * as integrations from '../src/store/integrations.ts';

export interface Seed {
    databaseUrl: string;
    /** The operator's key that Valetkey was started with. */
    encryptionKey: Buffer;
    bareKey: Buffer;
    count: number;
}

export const integrationKey = 'github';
const provider = 'github';
const atOnce = 100;
const year = 365 * 24 * 3600 * 1000;

/** Into a database that Valetkey has migrated. @returns the connection ids */
export async function seed({ databaseUrl, encryptionKey, bareKey, count }: Seed): Promise<string[]> {
    const all = Array.from({ length: count }, (_, index) => ({
        connectionId: `user-${index}-${randomBytes(6).toString('hex')}`,
        credentials: newCredentials(),
    }));
    await seedValetkey(databaseUrl, encryptionKey, all);
    await seedBare(databaseUrl, bareKey, all);
    return all.map(({ connectionId }) => connectionId);
}

interface Seeded {
    connectionId: string;
    credentials: Credentials;
}

/** The size of a usual OAuth 2 grant, valid for longer than any run. */
function newCredentials(): Credentials {
    const access = randomBytes(90).toString('base64url');
    const refresh = randomBytes(45).toString('base64url');
    return {
        type: 'OAUTH2',
        access_token: access,
        refresh_token: refresh,
        expires_at: new Date(Date.now() + year).toISOString(),
        raw: { access_token: access, refresh_token: refresh, expires_in: year / 1000, token_type: 'bearer', scope: 'repo read:user read:org' },
    };
}

async function seedValetkey(url: string, encryptionKey: Buffer, all: Seeded[]): Promise<void> {
    const database = await openDatabase({ kind: 'postgres', url, poolSize: 10 });
    try {
        const vault = await openVault(database.db, [{ name: 'bench', key: encryptionKey }], systemSources);
        const environment = (await findByName(database.db, 'dev'))!;
        const now = new Date();
        const integration = (await integrations.insert(database.db, {
            id: newRowId(systemSources),
            environment_id: environment.id,
            unique_key: integrationKey,
            provider,
            display_name: null,
            oauth_client_id: 'client',
            sealed_oauth_client_secret: null,
            oauth_scopes: null,
            sealed_custom: null,
            allowed_hosts: null,
            created_at: now,
            updated_at: now,
            deleted_at: null,
        }))!;
        for (let start = 0; start < all.length; start += atOnce) {
            const some = all.slice(start, start + atOnce);
            await Promise.all(
                some.map(({ connectionId, credentials }) => {
                    const key = { id: newRowId(systemSources), environment_id: environment.id };
                    return connections.insert(database.db, {
                        ...key,
                        integration_id: integration.id,
                        provider,
                        connection_id: connectionId,
                        credential_type: credentialTypeOf(credentials),
                        sealed_credentials: vault.sealJson(credentials, credentialsPlace(key)),
                        sealed_previous_refresh_token: null,
                        sealed_secrets: null,
                        credentials_obtained_at: now,
                        credentials_expires_at: new Date(now.getTime() + year),
                        auth_state: 'ok',
                        auth_error: null,
                        next_refresh_at: new Date(now.getTime() + year / 2),
                        refresh_lease_owner: null,
                        refresh_lease_until: null,
                        refresh_intent: null,
                        last_refresh_success: now,
                        last_refresh_failure: null,
                        refresh_failure_reported_at: null,
                        connection_config: json({}),
                        metadata: json({ plan: 'team' }),
                        tags: json({ end_user_id: connectionId, end_user_email: `${connectionId}@example.com` }),
                        end_user: json({ id: connectionId, email: `${connectionId}@example.com`, display_name: null, tags: {}, organization: null }),
                        webhook_url_override: null,
                        last_fetched_at: null,
                        created_at: now,
                        updated_at: now,
                        deleted_at: null,
                    });
                }),
            );
        }
    } finally {
        await database.close();
    }
}

async function seedBare(url: string, key: Buffer, all: Seeded[]): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
        await client.query('create table bare_connections (connection_id text primary key, provider text not null, sealed bytea not null)');
        await client.query(
            'insert into bare_connections select connection_id, $2, sealed from unnest($1::text[], $3::bytea[]) as rows (connection_id, sealed)',
            [all.map(({ connectionId }) => connectionId), provider, all.map(({ credentials }) => bareSeal(JSON.stringify(credentials), key))],
        );
        await client.query('vacuum analyze');
    } finally {
        await client.end();
    }
}

function bareSeal(plaintext: string, key: Buffer): Buffer {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), ciphertext]);
}
