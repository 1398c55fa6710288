/** PATCH /environment/webhooks (settings S2, S3). */
import { z } from 'zod';
import { changeWebhookSettings, lockWebhookSettings } from '../../../environments/webhook-settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { assertMatch, ifMatchDescription, sendTag } from '../../entity-tag.ts';
import type { Services } from '../../services.ts';
import { environmentGone } from './settings-refusals.ts';
import { webhookSettingFields, WebhookSettings, webhookSettingsView } from './webhook-settings-view.ts';

export const updateWebhookSettings = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/environment/webhooks'],
        tag: 'Webhooks',
        operationId: 'updateWebhookSettings',
        summary: 'Set webhook URLs and switches',
        description: `What is not named stays. URLs have to be https and public, unless the operator opened their host. ${ifMatchDescription}`,
        authenticate: apiKey(services),
        access: ['environment:webhooks:write'],
        body: z
            .strictObject(webhookSettingFields(services))
            .partial()
            .refine((change) => Object.keys(change).length > 0, { message: 'Name at least one setting', when: ({ issues }) => issues.length === 0 }),
        answers: { 200: z.object({ data: WebhookSettings }) },
        errors: { 400: ['resource_capped'], 404: ['not_found'], 412: ['precondition_failed'] },
        async handle({ body: change, principal, request, reply }) {
            const row = await services.database.db.transaction().execute(async (transaction) => {
                const environment = await environments.lock(transaction, principal.environment!.id);
                if (environment === undefined) {
                    throw environmentGone();
                }
                const stored = await lockWebhookSettings(transaction, services.sources, environment.id);
                assertMatch(request, stored.updated_at);
                return changeWebhookSettings(transaction, services.sources, stored, change);
            });
            sendTag(reply, row.updated_at);
            return { data: webhookSettingsView(row) };
        },
    });
