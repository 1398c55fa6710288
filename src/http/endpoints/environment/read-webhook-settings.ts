/** GET /environment/webhooks (settings S2). */
import { z } from 'zod';
import * as webhookSettings from '../../../store/webhook-settings.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ifMatchDescription, sendTag } from '../../entity-tag.ts';
import type { Services } from '../../services.ts';
import { WebhookSettings, webhookSettingsView } from './webhook-settings-view.ts';

export const readWebhookSettings = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment/webhooks'],
        tag: 'Webhooks',
        operationId: 'getWebhookSettings',
        summary: 'Read webhook URLs and switches',
        description: ifMatchDescription,
        authenticate: apiKey(services),
        access: ['environment:webhooks:read'],
        answers: { 200: z.object({ data: WebhookSettings }) },
        async handle({ principal, reply }) {
            const row = await webhookSettings.read(services.database.db, principal.environment!.id);
            sendTag(reply, row?.updated_at);
            return { data: webhookSettingsView(row) };
        },
    });
