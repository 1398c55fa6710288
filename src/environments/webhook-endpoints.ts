/** What is done to the endpoints of an environment (W18). The settings' two URLs are endpoints too, written by `webhook-settings.ts`. */
import { makeSigningKey } from '../credentials/webhook-signing-keys.ts';
import type { Vault } from '../credentials/vault.ts';
import { newRowId, type Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import * as health from '../store/endpoint-health.ts';
import type { WebhookEndpointRow, WebhookSettingsRow } from '../store/schema.ts';
import * as endpoints from '../store/webhook-endpoints.ts';
import * as settings from '../store/webhook-settings.ts';
import * as signingKeys from '../store/webhook-signing-keys.ts';
import type { EventKind } from '../webhooks/event-kinds.ts';
import { Refusal } from './refusal.ts';
import { laterThan } from './settings.ts';
import { assertRoom, lockWebhookSettings } from './webhook-settings.ts';

export interface EndpointFields {
    url: string;
    description: string | null;
    events: readonly EventKind[];
    follow_redirects: boolean;
    own_signing_key: boolean;
    enabled: boolean;
}

/** What is absent stays. */
export type EndpointChange = { [Name in keyof EndpointFields]?: EndpointFields[Name] | undefined };

export interface EndpointContext {
    vault: Vault;
    sources: Sources;
}

/** Call these in a transaction that locked the environment. @throws Refusal */
export async function createEndpoint(db: Db, context: EndpointContext, environmentId: string, fields: EndpointFields): Promise<WebhookEndpointRow> {
    const { sources } = context;
    // Without a record of settings nothing is sent. Its lock also makes the number of endpoints certain.
    await lockWebhookSettings(db, sources, environmentId);
    await assertRoom(db, environmentId);
    const at = new Date(sources.now());
    const { enabled, events, ...rest } = fields;
    const row = await endpoints.insert(db, {
        ...rest,
        id: newRowId(sources),
        environment_id: environmentId,
        role: null,
        events: [...events],
        ...working,
        ...(enabled ? {} : switchedOff(at)),
        created_at: at,
        updated_at: at,
    });
    if (row.own_signing_key) {
        await makeSigningKey(db, context, { environmentId, endpointId: row.id }, at);
    }
    return row;
}

export async function changeEndpoint(
    db: Db,
    context: EndpointContext,
    environmentId: string,
    id: string,
    { enabled, events, ...rest }: EndpointChange,
): Promise<WebhookEndpointRow> {
    const { sources } = context;
    const { stored, at } = await locked(db, sources, environmentId, id);
    const row = await endpoints.update(db, id, {
        ...rest,
        ...(events && { events: [...events] }),
        // A URL written anew is tried again, whatever its receiver said before (W8).
        ...(enabled === true || (enabled === undefined && rest.url !== undefined) ? working : {}),
        ...(enabled === false && stored.disabled_at === null ? switchedOff(at) : {}),
        updated_at: laterThan(stored.updated_at, sources),
    });
    if (row.disabled_at !== null) {
        await health.holdUndelivered(db, id, at);
    }
    if (row.own_signing_key !== stored.own_signing_key) {
        const owner = { environmentId, endpointId: id };
        await (row.own_signing_key ? makeSigningKey(db, context, owner, at) : signingKeys.remove(db, owner));
    }
    return row;
}

export async function deleteEndpoint(db: Db, sources: Sources, environmentId: string, id: string): Promise<void> {
    const { stored, at } = await locked(db, sources, environmentId, id);
    await endpoints.remove(db, stored, at);
}

/** W9. @returns the endpoint, and how many of the deliveries held since `replaySince` are sent now. */
export async function enableEndpoint(
    db: Db,
    sources: Sources,
    environmentId: string,
    id: string,
    replaySince: Date | null,
): Promise<{ row: WebhookEndpointRow; replayed: number }> {
    const { stored } = await locked(db, sources, environmentId, id);
    const row = await endpoints.update(db, id, { ...working, updated_at: laterThan(stored.updated_at, sources) });
    return { row, replayed: replaySince === null ? 0 : await health.replay(db, row, replaySince) };
}

const working = { disabled_at: null, disabled_reason: null, failing_since: null } as const;
/** Since when it fails stays: what was given up since then is held too (`holdUndelivered`). */
const switchedOff = (at: Date) => ({ disabled_at: at, disabled_reason: 'manual' as const });

/** @throws Refusal `not_found` */
async function locked(db: Db, sources: Sources, environmentId: string, id: string): Promise<{ stored: WebhookEndpointRow; at: Date }> {
    const record = await lockWebhookSettings(db, sources, environmentId);
    const stored = await endpoints.lock(db, environmentId, id);
    if (stored === undefined) {
        throw new Refusal('not_found', 'This environment has no such webhook endpoint.');
    }
    await touch(db, sources, record, stored);
    return { stored, at: new Date(sources.now()) };
}

/** Whoever holds the entity tag of the settings holds what they say about their two endpoints. */
async function touch(db: Db, sources: Sources, record: WebhookSettingsRow, { role }: WebhookEndpointRow): Promise<void> {
    if (role !== null) {
        await settings.update(db, record.environment_id, { updated_at: laterThan(record.updated_at, sources) });
    }
}
