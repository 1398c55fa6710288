/** What an integration is made of, whatever its auth mode, and how a change is laid over it (http-api §7.2, §7.5). */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { openIntegrationSecrets, sealIntegrationSecrets, type IntegrationSecrets } from '../credentials/integration-secrets.ts';
import type { Vault } from '../credentials/vault.ts';
import { newRowId, type Sources } from '../sources.ts';
import * as connections from '../store/connections.ts';
import { retryRefusedClients } from '../store/credential-writes.ts';
import type { Db } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import * as integrations from '../store/integrations.ts';
import type { IntegrationRow } from '../store/schema.ts';
import { enqueueIntegrationEvent } from '../webhooks/integration-events.ts';

export interface OauthAppCredentials {
    type: 'OAUTH1' | 'OAUTH2' | 'TBA';
    client_id: string;
    client_secret: string;
    /** Comma separated. */
    scopes?: string | undefined;
    webhook_secret?: string | undefined;
}

export interface AppCredentials {
    type: 'APP';
    app_id: string;
    app_link: string;
    /** PEM. */
    private_key: string;
}

export interface CustomCredentials extends Omit<AppCredentials, 'type'> {
    type: 'CUSTOM';
    client_id: string;
    client_secret: string;
}

export type IntegrationCredentials = OauthAppCredentials | AppCredentials | CustomCredentials;

/** What is absent stays as it is. */
export interface IntegrationChange {
    unique_key?: string | undefined;
    /** `null`: the provider's. */
    display_name?: string | null | undefined;
    forward_webhooks?: boolean | undefined;
    /** `null`: none any more. */
    credentials?: IntegrationCredentials | null | undefined;
    /** Also beside no credentials. Comma separated, and `''` for none. */
    scopes?: string | undefined;
    /** Also beside no credentials. `''`: none. */
    webhook_secret?: string | undefined;
    /** Checked against the provider; `''` takes a value away. */
    config?: Readonly<Record<string, string>> | undefined;
    /** `null` takes a value away. */
    custom?: Readonly<Record<string, string | null>> | undefined;
    /** `null`: the catalogue's. */
    allowed_hosts?: string[] | null | undefined;
}

/** An integration's own part of what connecting with it needs, opened. */
export interface IntegrationSetup extends IntegrationSecrets {
    /** OAuth client id, consumer key, or (APP) the app's id. */
    clientId: string | null;
    scopes: string | null;
}

/** What an integration begins with. */
export const newSetup = (defaultScopes: readonly string[] | undefined): IntegrationSetup => ({
    clientId: null,
    scopes: defaultScopes?.join(',') ?? null,
    clientSecret: null,
    extras: {},
});

/** Where the provider's webhook secret is kept, among the operator's own values. */
export const webhookSecretName = 'webhookSecret';

/**
 * What an app's webhooks are signed with: the operator's own secret, else one that is made from the app itself, which old
 * clients read too (http-api §7.7). Keys are taken in base64 for it, as the reference keeps them.
 */
export function appWebhookSecret(authMode: string, { clientId, clientSecret, extras }: IntegrationSetup): string | null {
    const own = extras.custom?.[webhookSecretName];
    const appId = authMode === 'APP' ? clientId : extras.app_id;
    const pem = authMode === 'APP' ? clientSecret : extras.private_key;
    return own || (appId && pem && extras.app_link ? derivedSecret(appId, pem, extras.app_link) : null);
}

export const derivedSecret = (appId: string, pem: string, appLink: string): string =>
    createHash('sha256')
        .update(`${appId}${Buffer.from(pem).toString('base64')}${appLink}`)
        .digest('hex');

interface Context {
    vault: Vault;
    sources: Sources;
}

export interface NewIntegration extends IntegrationChange {
    environmentId: string;
    provider: string;
    unique_key: string;
    defaultScopes: readonly string[] | undefined;
}

/** @returns `undefined` when the key is taken. */
export function createIntegration(db: Db, { vault, sources }: Context, wanted: NewIntegration): Promise<IntegrationRow | undefined> {
    const key = { id: newRowId(sources), environment_id: wanted.environmentId };
    const now = new Date(sources.now());
    const setup = changedSetup(newSetup(wanted.defaultScopes), wanted);
    return integrations.insert(db, {
        ...key,
        unique_key: wanted.unique_key,
        provider: wanted.provider,
        display_name: wanted.display_name ?? null,
        ...sealSetup(vault, key, setup),
        forward_webhooks: wanted.forward_webhooks ?? true,
        allowed_hosts: wanted.allowed_hosts ?? null,
        created_at: now,
        updated_at: now,
        deleted_at: null,
    });
}

/**
 * Writes a change over `stored`, which the caller has locked. Connections that the provider refused because of the client get
 * another chance with another client; endpoints that ask for it are told that the client or its scopes changed (§8.2).
 */
export async function changeIntegration(
    db: Db,
    { vault, sources }: Context,
    stored: IntegrationRow,
    setup: IntegrationSetup,
    change: IntegrationChange,
): Promise<IntegrationRow> {
    const now = new Date(sources.now());
    const changed = changedSetup(setup, change);
    const row = await integrations.update(db, stored.id, {
        ...(change.unique_key === undefined ? {} : { unique_key: change.unique_key }),
        ...(change.display_name === undefined ? {} : { display_name: change.display_name }),
        ...(change.forward_webhooks === undefined ? {} : { forward_webhooks: change.forward_webhooks }),
        ...(change.allowed_hosts === undefined ? {} : { allowed_hosts: change.allowed_hosts }),
        ...(changed === setup ? {} : sealSetup(vault, stored, changed)),
        updated_at: now,
    });
    if (changed.clientId !== setup.clientId || changed.clientSecret !== setup.clientSecret) {
        await retryRefusedClients(db, stored.id, now);
    }
    if (!isDeepStrictEqual(clientOf(setup), clientOf(changed))) {
        await tellOfClient(db, sources, row);
    }
    return row;
}

/** What providers know the integration by, and what it asks them for. */
const clientOf = ({ clientId, clientSecret, scopes, extras: { app_id, private_key } }: IntegrationSetup) => [
    clientId,
    clientSecret,
    scopes,
    app_id,
    private_key,
];

async function tellOfClient(db: Db, sources: Sources, { environment_id, unique_key, provider }: IntegrationRow): Promise<void> {
    const environment = await environments.findById(db, environment_id);
    if (environment !== undefined) {
        await enqueueIntegrationEvent(db, sources, { environment, providerConfigKey: unique_key, provider, operation: 'credentials_changed' });
    }
}

/** With all its connections, whose credentials are shredded and whose renewals end (E7). Call it in a transaction. @returns its row id; `undefined`: there was none. */
export async function deleteIntegration(db: Db, { sources }: Context, environmentId: string, uniqueKey: string): Promise<string | undefined> {
    const stored = await integrations.lockByKey(db, environmentId, uniqueKey);
    if (stored === undefined) {
        return undefined;
    }
    const now = new Date(sources.now());
    await connections.removeOfIntegration(db, stored.id, now);
    await integrations.remove(db, stored.id, now);
    return stored.id;
}

/** @throws VaultError */
export const openSetup = async (vault: Vault, row: IntegrationRow): Promise<IntegrationSetup> => ({
    clientId: row.oauth_client_id,
    scopes: row.oauth_scopes,
    ...(await openIntegrationSecrets(vault, row)),
});

const sealSetup = (vault: Vault, key: Pick<IntegrationRow, 'id' | 'environment_id'>, { clientId, scopes, ...secrets }: IntegrationSetup) => ({
    oauth_client_id: clientId,
    oauth_scopes: scopes,
    ...sealIntegrationSecrets(vault, key, secrets),
});

/** @returns `setup` itself when there is nothing to change in it */
function changedSetup(setup: IntegrationSetup, { credentials, scopes, webhook_secret, config, custom }: IntegrationChange): IntegrationSetup {
    let changed = credentials === undefined ? setup : withCredentials(setup, credentials);
    if (scopes !== undefined) {
        changed = { ...changed, scopes };
    }
    if (webhook_secret !== undefined) {
        changed = withWebhookSecret(changed, webhook_secret);
    }
    if (config !== undefined) {
        changed = withExtra(changed, 'config', without('', { ...changed.extras.config, ...config }));
    }
    if (custom !== undefined) {
        changed = withExtra(changed, 'custom', without(null, { ...changed.extras.custom, ...custom }));
    }
    return changed;
}

/** Credentials replace the stored ones as a block; scopes and the webhook secret have a life of their own (http-api §7.5). */
function withCredentials(setup: IntegrationSetup, credentials: IntegrationCredentials | null): IntegrationSetup {
    switch (credentials?.type) {
        case undefined:
            return { ...setup, clientId: null, clientSecret: null };
        case 'APP': {
            const { app_id, app_link, private_key } = credentials;
            return { ...setup, clientId: app_id, clientSecret: private_key, extras: { ...setup.extras, app_link } };
        }
        case 'CUSTOM': {
            const { client_id, client_secret, app_id, app_link, private_key } = credentials;
            return { ...setup, clientId: client_id, clientSecret: client_secret, extras: { ...setup.extras, app_id, app_link, private_key } };
        }
        case 'OAUTH1':
        case 'OAUTH2':
        case 'TBA': {
            const { client_id, client_secret, scopes = setup.scopes, webhook_secret } = credentials;
            const changed = { ...setup, clientId: client_id, clientSecret: client_secret, scopes };
            return webhook_secret === undefined ? changed : withWebhookSecret(changed, webhook_secret);
        }
    }
}

function withWebhookSecret(setup: IntegrationSetup, secret: string): IntegrationSetup {
    const { [webhookSecretName]: _replaced, ...others } = setup.extras.custom ?? {};
    return withExtra(setup, 'custom', secret === '' ? others : { ...others, [webhookSecretName]: secret });
}

/** An empty map is none. */
function withExtra(setup: IntegrationSetup, name: 'config' | 'custom', values: Readonly<Record<string, string>>): IntegrationSetup {
    const { [name]: _replaced, ...others } = setup.extras;
    return { ...setup, extras: Object.keys(values).length === 0 ? others : { ...others, [name]: values } };
}

const without = <Value>(absent: Value, values: Readonly<Record<string, string | Value>>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== absent));
