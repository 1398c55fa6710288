/** An environment's webhook settings as the API shows them (webhooks §1.1). */
import { z } from 'zod';
import { webhookSwitches, webhookUrls } from '../../../environments/webhook-settings.ts';
import type { WebhookSettings as StoredSettings } from '../../../store/webhook-settings.ts';
import { webhookUrl } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';
import { DisabledReason } from '../webhooks/endpoint-view.ts';

const describedSwitches = {
    on_auth_creation: z.boolean().describe('Send `creation` events, successful or not.'),
    on_auth_refresh_error: z.boolean().describe('Send `refresh` events: renewals that failed.'),
    on_sync_completion_always: z.boolean().describe('Kept for clients that set it; there are no syncs here.'),
    on_sync_error: z.boolean().describe('Kept for clients that set it; there are no syncs here.'),
    on_async_action_completion: z.boolean().describe('Kept for clients that set it; there are no actions here.'),
} satisfies Record<(typeof webhookSwitches)[number], z.ZodBoolean>;

/** All that can be set, each of it required. */
export const webhookSettingFields = (services: Services) => {
    const url = z.union([z.null(), webhookUrl((text) => assertWebhookUrl(services, text))]);
    return {
        primary_url: url.describe('An endpoint of its own, with the default events and like the secondary one. `null` or empty: none.'),
        secondary_url: url.describe('An endpoint of its own, with the default events and like the primary one. `null` or empty: none.'),
        ...describedSwitches,
    };
};

const disabledReason = DisabledReason.describe(
    'Why nothing is sent there any more. Setting the URL again, the same one too, ends that; `POST /webhooks/endpoints/:id/enable` also sends what was held.',
);

export const WebhookSettings = z.object({
    primary_url: z.string().nullable(),
    secondary_url: z.string().nullable(),
    ...describedSwitches,
    primary_disabled_reason: disabledReason,
    secondary_disabled_reason: disabledReason,
    updated_at: z.iso.datetime().nullable(),
});

/** Without a record nothing is ever sent. */
export const webhookSettingsView = (row: StoredSettings | undefined): z.output<typeof WebhookSettings> =>
    ({
        ...Object.fromEntries(webhookUrls.map((name) => [name, row?.[name] ?? null])),
        ...Object.fromEntries(webhookSwitches.map((name) => [name, row?.[name] ?? false])),
        primary_disabled_reason: row?.primary_disabled_reason ?? null,
        secondary_disabled_reason: row?.secondary_disabled_reason ?? null,
        updated_at: row?.updated_at.toISOString() ?? null,
    }) as z.output<typeof WebhookSettings>;
