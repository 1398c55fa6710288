/** PUT /environment/connect-ui (settings S2). */
import { z } from 'zod';
import { connectUiSettings } from '../../../environments/connect-ui-settings.ts';
import { json } from '../../../store/database.ts';
import * as environmentSettings from '../../../store/environment-settings.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { ConnectUi } from './connect-ui-fields.ts';

export const replaceConnectUi = (services: Services) =>
    endpoint({
        method: 'PUT',
        paths: ['/environment/connect-ui'],
        tag: 'Environment',
        operationId: 'replaceConnectUiSettings',
        summary: 'Set how the Connect UI looks',
        description: 'Takes all of the settings; sessions see them with their next look.',
        authenticate: apiKey(services),
        access: ['environment:settings:update'],
        body: ConnectUi,
        answers: { 200: z.object({ data: ConnectUi }) },
        async handle({ body, principal }) {
            const row = await environmentSettings.update(services.database.db, principal.environment!.id, {
                connect_ui: json(body),
                updated_at: new Date(services.sources.now()),
            });
            return { data: connectUiSettings(row) };
        },
    });
