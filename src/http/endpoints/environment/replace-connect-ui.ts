/** PUT /environment/connect-ui (settings S2). */
import { z } from 'zod';
import { connectUiSettings } from '../../../environments/connect-ui-settings.ts';
import { laterThan } from '../../../environments/settings.ts';
import { json } from '../../../store/database.ts';
import * as environmentSettings from '../../../store/environment-settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { assertMatch, ifMatchDescription, sendTag } from '../../entity-tag.ts';
import type { Services } from '../../services.ts';
import { ConnectUi } from './connect-ui-fields.ts';
import { environmentGone } from './settings-refusals.ts';

export const replaceConnectUi = (services: Services) =>
    endpoint({
        method: 'PUT',
        paths: ['/environment/connect-ui'],
        tag: 'Environment',
        operationId: 'replaceConnectUiSettings',
        summary: 'Set how the Connect UI looks',
        description: `Takes all of the settings; sessions see them with their next look. ${ifMatchDescription}`,
        authenticate: apiKey(services),
        access: ['environment:settings:update'],
        body: ConnectUi,
        answers: { 200: z.object({ data: ConnectUi }) },
        errors: { 404: ['not_found'], 412: ['precondition_failed'] },
        async handle({ body, principal, request, reply }) {
            const row = await services.database.db.transaction().execute(async (transaction) => {
                const environment = await environments.lock(transaction, principal.environment!.id);
                if (environment === undefined) {
                    throw environmentGone();
                }
                const stored = await environmentSettings.read(transaction, environment.id);
                assertMatch(request, stored.updated_at);
                return environmentSettings.update(transaction, environment.id, {
                    connect_ui: json(body),
                    updated_at: laterThan(stored.updated_at, services.sources),
                });
            });
            sendTag(reply, row.updated_at);
            return { data: connectUiSettings(row) };
        },
    });
