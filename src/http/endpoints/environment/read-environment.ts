/** GET /environment (settings S2). */
import { z } from 'zod';
import * as environmentSettings from '../../../store/environment-settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ifMatchDescription, sendTag } from '../../entity-tag.ts';
import type { Services } from '../../services.ts';
import { Environment, environmentView } from './environment-view.ts';
import { environmentGone } from './settings-refusals.ts';

export const readEnvironment = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment'],
        tag: 'Environment',
        summary: 'Read the settings of the environment',
        description: ifMatchDescription,
        authenticate: apiKey(services),
        access: ['environment:settings:read'],
        answers: { 200: z.object({ data: Environment }) },
        errors: { 404: ['not_found'] },
        async handle({ principal, reply }) {
            const { db } = services.database;
            const environment = await environments.findById(db, principal.environment!.id);
            if (environment === undefined) {
                throw environmentGone();
            }
            const settings = await environmentSettings.read(db, environment.id);
            sendTag(reply, environment.updated_at);
            return { data: await environmentView(services, { environment, settings }) };
        },
    });
