/** Where an environment's webhooks go, and what a change of that means (webhooks §1.1). */
import type { Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import type { WebhookSettingsRow } from '../store/schema.ts';
import * as settings from '../store/webhook-settings.ts';
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

/** Call it in the transaction that locked `stored`. */
export function changeWebhookSettings(
    db: Db,
    sources: Sources,
    stored: WebhookSettingsRow,
    change: WebhookSettingsChange,
): Promise<WebhookSettingsRow> {
    return settings.update(db, stored.environment_id, {
        ...Object.fromEntries(webhookSwitches.flatMap((name) => (change[name] === undefined ? [] : [[name, change[name]]]))),
        // A URL written anew is tried again, whatever its receiver said before (W8).
        ...(change.primary_url === undefined ? {} : { primary_url: change.primary_url || null, primary_disabled_reason: null }),
        ...(change.secondary_url === undefined ? {} : { secondary_url: change.secondary_url || null, secondary_disabled_reason: null }),
        updated_at: laterThan(stored.updated_at, sources),
    });
}
