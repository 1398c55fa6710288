/** Where an environment's webhooks go, and what a change of that means (webhooks §1.1). */
import { newRowId, type Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import type { WebhookSettingsRow } from '../store/schema.ts';
import * as endpoints from '../store/webhook-endpoints.ts';
import type { EndpointRole } from '../store/webhook-endpoints.ts';
import * as settings from '../store/webhook-settings.ts';
import { defaultEventKinds } from '../webhooks/event-kinds.ts';
import { mostEndpoints } from '../webhooks/most-endpoints.ts';
import { Refusal } from './refusal.ts';
import { laterThan } from './settings.ts';

export const webhookUrls = ['primary_url', 'secondary_url'] as const;
export const webhookSwitches = [
    'on_auth_creation',
    'on_auth_refresh_error',
    'on_sync_completion_always',
    'on_sync_error',
    'on_async_action_completion',
] as const;

/** What is absent stays. An empty URL clears, as `null` does. */
export type WebhookSettingsChange = { [Name in (typeof webhookUrls)[number]]?: string | null | undefined } & {
    [Name in (typeof webhookSwitches)[number]]?: boolean | undefined;
};

/** Call it in a transaction that locked the environment. A record that is not there is made, so that what is set takes effect. */
export async function lockWebhookSettings(db: Db, sources: Sources, environmentId: string): Promise<WebhookSettingsRow> {
    const stored = await settings.lock(db, environmentId);
    if (stored !== undefined) {
        return stored;
    }
    await environments.insertWebhookSettings(db, { environment_id: environmentId, updated_at: new Date(sources.now()) });
    return (await settings.lock(db, environmentId))!;
}

/** For one endpoint more. Call it in a transaction that locked the settings. @throws Refusal */
export async function assertRoom(db: Db, environmentId: string): Promise<void> {
    if ((await endpoints.count(db, environmentId)) >= mostEndpoints) {
        throw new Refusal('resource_capped', `An environment has at most ${mostEndpoints} webhook endpoints.`);
    }
}

/** Call it in the transaction that locked `stored`. @throws Refusal */
export async function changeWebhookSettings(
    db: Db,
    sources: Sources,
    stored: WebhookSettingsRow,
    change: WebhookSettingsChange,
): Promise<settings.WebhookSettings> {
    const at = new Date(sources.now());
    for (const role of ['primary', 'secondary'] as const) {
        await setUrl(db, sources, stored.environment_id, role, change[`${role}_url`], at);
    }
    await settings.update(db, stored.environment_id, {
        ...Object.fromEntries(webhookSwitches.flatMap((name) => (change[name] === undefined ? [] : [[name, change[name]]]))),
        updated_at: laterThan(stored.updated_at, sources),
    });
    return (await settings.read(db, stored.environment_id))!;
}

async function setUrl(db: Db, sources: Sources, environmentId: string, role: EndpointRole, url: string | null | undefined, at: Date): Promise<void> {
    if (url) {
        if ((await endpoints.findByRole(db, environmentId, role)) === undefined) {
            await assertRoom(db, environmentId);
        }
        await endpoints.putRole(db, {
            id: newRowId(sources),
            environment_id: environmentId,
            role,
            url,
            description: null,
            events: [...defaultEventKinds],
            disabled_at: null,
            disabled_reason: null,
            failing_since: null,
            created_at: at,
            updated_at: at,
        });
    } else if (url !== undefined) {
        const cleared = await endpoints.findByRole(db, environmentId, role);
        if (cleared !== undefined) {
            await endpoints.remove(db, cleared, at);
        }
    }
}
