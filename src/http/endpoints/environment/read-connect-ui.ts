/** GET /environment/connect-ui (settings S2). */
import { z } from 'zod';
import { connectUiSettings } from '../../../environments/connect-ui-settings.ts';
import * as environmentSettings from '../../../store/environment-settings.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ifMatchDescription, sendTag } from '../../entity-tag.ts';
import type { Services } from '../../services.ts';
import { ConnectUi } from './connect-ui-fields.ts';

export const readConnectUi = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment/connect-ui'],
        tag: 'Environment',
        operationId: 'getConnectUiSettings',
        summary: 'Read how the Connect UI looks',
        description: ifMatchDescription,
        authenticate: apiKey(services),
        access: ['environment:settings:read'],
        answers: { 200: z.object({ data: ConnectUi }) },
        async handle({ principal, reply }) {
            const row = await environmentSettings.read(services.database.db, principal.environment!.id);
            sendTag(reply, row.updated_at);
            return { data: connectUiSettings(row) };
        },
    });
