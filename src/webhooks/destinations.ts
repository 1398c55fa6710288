/** Where an environment's webhooks go today. */
import type { Db } from '../store/database.ts';
import * as webhookSettings from '../store/webhook-settings.ts';

/**
 * By what a delivery calls its destination. One that has no URL, or is disabled, is left out; so is an override, which only the
 * delivery itself knows.
 */
export async function currentUrls(db: Db, environmentId: string): Promise<ReadonlyMap<string, string>> {
    const settings = await webhookSettings.read(db, environmentId);
    const candidates = [
        ['primary', settings?.primary_url, settings?.primary_disabled_reason],
        ['secondary', settings?.secondary_url, settings?.secondary_disabled_reason],
    ] as const;
    return new Map(candidates.flatMap(([name, url, disabled]) => (url && disabled === null ? [[name, url]] : [])));
}
