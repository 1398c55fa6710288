/** GET and PATCH /environment/webhooks (settings S2, S3). */
import { z } from 'zod';
import type { WebhookSettingsRow } from '../../../store/schema.ts';
import * as outbox from '../../../store/webhook-outbox.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';
import { webhookUrl } from '../../field-types.ts';

const switches = ['on_auth_creation', 'on_auth_refresh_error', 'on_sync_completion_always', 'on_sync_error', 'on_async_action_completion'] as const;

const body = (services: Services) => {
    const url = z.union([z.null(), webhookUrl((text) => assertWebhookUrl(services, text))]).optional();
    const toggle = z.boolean().optional();
    return z
        .strictObject({
            primary_url: url,
            secondary_url: url,
            on_auth_creation: toggle,
            on_auth_refresh_error: toggle,
            on_sync_completion_always: toggle,
            on_sync_error: toggle,
            on_async_action_completion: toggle,
        })
        .refine((change) => Object.keys(change).length > 0, { message: 'Name at least one setting', when: ({ issues }) => issues.length === 0 });
};

export const readWebhookSettings = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment/webhooks'],
        tag: 'Webhooks',
        summary: 'Webhook URLs and switches',
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        async handle({ principal }) {
            return { data: view(await outbox.settings(services.database.db, principal.environment!.id)) };
        },
    });

export const updateWebhookSettings = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/environment/webhooks'],
        tag: 'Webhooks',
        summary: 'Set webhook URLs and switches',
        authenticate: apiKey(services),
        access: ['environment:webhooks:write'],
        body: body(services),
        async handle({ body: change, principal }) {
            const row = await outbox.updateSettings(services.database.db, principal.environment!.id, {
                ...Object.fromEntries(switches.flatMap((name) => (change[name] === undefined ? [] : [[name, change[name]]]))),
                // A URL written anew is tried again, whatever its receiver said before (W8).
                ...(change.primary_url === undefined ? {} : { primary_url: change.primary_url || null, primary_disabled_reason: null }),
                ...(change.secondary_url === undefined ? {} : { secondary_url: change.secondary_url || null, secondary_disabled_reason: null }),
                updated_at: new Date(services.sources.now()),
            });
            return { data: view(row) };
        },
    });

const view = (row: WebhookSettingsRow | undefined): Record<string, unknown> => ({
    primary_url: row?.primary_url ?? null,
    secondary_url: row?.secondary_url ?? null,
    ...Object.fromEntries(switches.map((name) => [name, row?.[name] ?? false])),
    primary_disabled_reason: row?.primary_disabled_reason ?? null,
    secondary_disabled_reason: row?.secondary_disabled_reason ?? null,
});
