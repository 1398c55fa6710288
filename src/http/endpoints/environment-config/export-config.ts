/** GET /environment/config (S7). */
import { exportEnvironment, exportVariables, exportWebhooks } from '../../../environments/declared-settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { hasScope, type Scope } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { environmentGone } from '../environment/settings-refusals.ts';
import { ConfigDocument, documentVersion } from './document.ts';
import { exportIntegrations } from './integrations-export.ts';

export const exportConfig = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment/config'],
        tag: 'Environment',
        operationId: 'exportEnvironmentConfig',
        summary: 'Export all settings of the environment as one document',
        description:
            'For version control, and for `PUT /environment/config` of this or another environment. Secrets are references by name, and so are all values of ' +
            '`custom`. Sections that the key may ' +
            'not read are left out: `webhooks` needs `environment:webhooks:read`, `variables` needs `environment:variables:read`, `integrations` needs ' +
            '`environment:integrations:list_credentials`. Name and production flag are not part of it, nor are keys and connections.',
        authenticate: apiKey(services),
        access: ['environment:settings:read'],
        answers: { 200: ConfigDocument(services) },
        errors: { 404: ['not_found'] },
        async handle({ principal }) {
            const { db } = services.database;
            const environment = await environments.findById(db, principal.environment!.id);
            if (environment === undefined) {
                throw environmentGone();
            }
            const may = (scope: Scope): boolean => hasScope(principal.scopes, scope);
            return {
                version: documentVersion,
                ...(await exportEnvironment(db, services, environment)),
                ...(may('environment:webhooks:read') ? { webhooks: await exportWebhooks(db, environment.id) } : {}),
                ...(may('environment:variables:read') ? { variables: await exportVariables(db, environment.id) } : {}),
                ...(may('environment:integrations:list_credentials') ? { integrations: await exportIntegrations(services, db, environment.id) } : {}),
            };
        },
    });
