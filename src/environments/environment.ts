/**
 * Environments and the keys that open them. An environment is made whole, in one transaction: itself, its webhook settings,
 * its signing key, and one API key with full access, which is shown once and stored as a hash.
 */
import type { Kysely } from 'kysely';
import { makeSigningKey } from '../credentials/webhook-signing-keys.ts';
import { newRowId } from '../sources.ts';
import type { Db } from '../store/database.ts';
import { removeEnvironment } from '../store/environment-removal.ts';
import * as settings from '../store/environment-settings.ts';
import * as environments from '../store/environments.ts';
import type { ApiKeyRow, EnvironmentRow, NewEnvironmentSettings, Schema } from '../store/schema.ts';
import { environmentKeys } from '../store/webhook-signing-keys.ts';
import { defaultKeyName, fullAccessOf, issueKey, type IssuedKey, type KeyContext } from './issue-key.ts';
import { Refusal } from './refusal.ts';
import { hmacKeyPlace, otlpHeadersPlace } from './settings-places.ts';

/** `vk_account_…` and `valetkey keys create account` mean the account. */
export const reservedName = 'account';

export interface NewEnvironment {
    name: string;
    isProduction: boolean;
    origin: ApiKeyRow['origin'];
    /** An API key fixed by the operator instead of a made one. */
    fixedKey?: string | undefined;
    callbackUrl?: string | undefined;
    settings?: InitialSettings;
}

export interface InitialSettings {
    hmacKey?: string | undefined;
    hmacEnabled?: boolean | undefined;
    slackNotifications?: boolean | undefined;
    otlpEndpoint?: string | undefined;
    otlpHeaders?: readonly { name: string; value: string }[] | undefined;
}

export interface CreatedEnvironment {
    row: EnvironmentRow;
    /** `undefined`: the fixed key opens something else already. */
    key: IssuedKey | undefined;
}

/** @returns `undefined` when there is one with this name already. Call it in a transaction. */
export async function createEnvironment(db: Db, context: KeyContext, environment: NewEnvironment): Promise<CreatedEnvironment | undefined> {
    const { sources } = context;
    const at = new Date(sources.now());
    const inserted = await environments.insert(db, {
        id: newRowId(sources),
        name: environment.name,
        is_production: environment.isProduction,
        callback_url: environment.callbackUrl ?? null,
        created_at: at,
    });
    if (inserted === undefined) {
        return undefined;
    }
    await settings.insert(db, settingsRow(context, inserted, environment.settings ?? {}, at));
    await environments.insertWebhookSettings(db, { environment_id: inserted.id, updated_at: at });
    await makeSigningKey(db, context, environmentKeys(inserted.id), at);
    return { row: inserted, key: await addKey(db, context, { ...environment, id: inserted.id }) };
}

/** @returns `undefined` when a replica that starts too has just made one, or when the fixed key opens something else. */
export function addKey(
    db: Db,
    context: KeyContext,
    environment: { id: string; name: string; origin: ApiKeyRow['origin']; fixedKey?: string | undefined },
): Promise<IssuedKey | undefined> {
    const { id: owner, name, fixedKey } = environment;
    return issueKey(db, context, fixedKey === undefined ? { name } : { text: fixedKey }, {
        owner,
        displayName: defaultKeyName,
        scopes: [fullAccessOf(owner)],
        origin: fixedKey === undefined ? environment.origin : 'configured',
    });
}

function settingsRow({ vault, sources }: KeyContext, environment: EnvironmentRow, initial: InitialSettings, at: Date): NewEnvironmentSettings {
    const key = { id: newRowId(sources), environment_id: environment.id };
    return {
        ...key,
        hmac_enabled: initial.hmacEnabled ?? false,
        sealed_hmac_key: initial.hmacKey ? vault.seal(initial.hmacKey, hmacKeyPlace(key)) : null,
        slack_notifications: initial.slackNotifications ?? false,
        otlp_endpoint: initial.otlpEndpoint || null,
        sealed_otlp_headers: initial.otlpHeaders?.length ? vault.sealJson(initial.otlpHeaders, otlpHeadersPlace(key)) : null,
        updated_at: at,
    };
}

/** What the API is asked for (http-api §10.1). @throws Refusal `invalid_is_prod_flag`, `conflict` */
export async function addEnvironment(db: Kysely<Schema>, context: KeyContext, wanted: NewEnvironment): Promise<EnvironmentRow> {
    if (wanted.name === 'prod' && !wanted.isProduction) {
        throw new Refusal('invalid_is_prod_flag', 'The environment "prod" is always a production environment.');
    }
    const created = await db.transaction().execute((transaction) => createEnvironment(transaction, context, wanted));
    if (created === undefined) {
        throw new Refusal('conflict', 'There is an environment with this name already.');
    }
    return created.row;
}

/** By the number that the API shows. @throws Refusal `not_found`, `cannot_delete_prod_environment` */
export async function deleteEnvironment(db: Kysely<Schema>, { sources }: Pick<KeyContext, 'sources'>, publicId: number): Promise<void> {
    const environment = await environments.findByPublicId(db, publicId);
    if (environment?.name === 'prod') {
        throw new Refusal('cannot_delete_prod_environment', 'The environment "prod" cannot be deleted.');
    }
    if (environment === undefined || !(await removeEnvironment(db, environment.id, new Date(sources.now())))) {
        throw new Refusal('not_found', 'There is no environment with this id.');
    }
}
