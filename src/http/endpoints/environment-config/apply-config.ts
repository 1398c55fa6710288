/** PUT /environment/config (S7). */
import { z } from 'zod';
import { ConfigPlan } from '../../../environments/config-plan.ts';
import { planConnectUi, planEnvironment, planVariables, planWebhooks } from '../../../environments/declared-settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey, type Principal } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { QueryBool } from '../../field-types.ts';
import { assertAccess, type Scope } from '../../scopes.ts';
import type { Services } from '../../services.ts';
import { settingsContext } from '../environment/environment-view.ts';
import { asApiError, environmentGone } from '../environment/settings-refusals.ts';
import { ConfigBody } from './document.ts';
import { planIntegrations, prepareClients, registrationsIn, unprepared, type PreparedClients } from './integrations-section.ts';

type Document = z.output<ReturnType<typeof ConfigBody>>;

const Result = z.object({
    dry_run: z.boolean(),
    changes: z
        .array(
            z.object({
                path: z.string().meta({ description: 'Section, name, field: `integrations.github.scopes`.', examples: ['webhooks.primary_url'] }),
                kind: z.enum(['added', 'changed', 'removed']).meta({ examples: ['changed'] }),
                from: z
                    .unknown()
                    .optional()
                    .meta({ description: 'Absent for secrets.', examples: [null] }),
                to: z
                    .unknown()
                    .optional()
                    .meta({ description: 'Absent for secrets.', examples: ['https://example.com/valetkey'] }),
            }),
        )
        .describe('What was changed, or would be. Empty when everything is as the document says.'),
});

export const applyConfig = (services: Services) =>
    endpoint({
        method: 'PUT',
        paths: ['/environment/config'],
        tag: 'Environment',
        operationId: 'applyEnvironmentConfig',
        summary: 'Make the environment as a document says',
        description:
            'All of it or nothing, and nothing the second time. What the document does not mention stays: fields, variables and integrations are not removed. ' +
            'A list is one value, and replaced; so are `integration_config` and `custom` of an integration. A secret is a reference: its value comes from `secrets`, or stays as it is stored; it is an error if there is ' +
            'neither, and if `secrets` has one that nothing refers to. With `dry_run=true` the changes are listed and not made.\n\nBeside ' +
            '`environment:settings:update` the key needs `environment:webhooks:write` for `webhooks`, `environment:variables:write` for `variables`, and ' +
            '`environment:integrations:create` and `:update` for `integrations`.',
        authenticate: apiKey(services),
        access: ['environment:settings:update'],
        query: z.strictObject({ dry_run: QueryBool.optional() }),
        body: ConfigBody(services),
        answers: { 200: z.object({ data: Result }) },
        errors: {
            400: ['client_registration_failed', 'resource_capped'],
            404: ['not_found'],
            409: ['conflict'],
            503: ['client_registration_unavailable'],
        },
        async handle({ query, body, principal }) {
            assertSections(principal, body);
            const isDryRun = query.dry_run ?? false;
            const environmentId = principal.environment!.id;
            const apply = (mode: { isDryRun: boolean; prepared: PreparedClients }) => applyDocument(services, environmentId, body, mode);
            const clientless = body.integrations === undefined ? [] : await unprepared(services, environmentId, body.integrations);
            if (isDryRun || clientless.length === 0) {
                return { data: { dry_run: isDryRun, changes: await apply({ isDryRun, prepared: new Map() }) } };
            }
            // What is refused is refused before anything is registered for it.
            await apply({ isDryRun: true, prepared: new Map() });
            const prepared = await prepareClients(services, clientless, {
                environmentId,
                callbackUrl: body.environment?.callback_url,
                integrations: body.integrations!,
                secrets: body.secrets ?? {},
            });
            try {
                return { data: { dry_run: false, changes: await apply({ isDryRun: false, prepared }) } };
            } catch (error) {
                services.clients.unregister(registrationsIn(prepared));
                throw error;
            }
        },
    });

/** In one transaction. @throws ApiError */
async function applyDocument(
    services: Services,
    environmentId: string,
    body: Document,
    { isDryRun, prepared }: { isDryRun: boolean; prepared: PreparedClients },
): Promise<ConfigPlan['changes']> {
    const plan = new ConfigPlan(body.secrets ?? {});
    await services.database.db
        .transaction()
        .execute(async (transaction) => {
            const environment = await environments.lock(transaction, environmentId);
            if (environment === undefined) {
                throw environmentGone();
            }
            const context = settingsContext(services);
            if (body.environment !== undefined) {
                await planEnvironment(transaction, context, plan, environment, body.environment);
            }
            if (body.connect_ui !== undefined) {
                await planConnectUi(transaction, context, plan, environment, body.connect_ui);
            }
            if (body.webhooks !== undefined) {
                await planWebhooks(transaction, context, plan, environment, body.webhooks);
            }
            if (body.variables !== undefined) {
                await planVariables(transaction, context, plan, environment, body.variables);
            }
            if (body.integrations !== undefined) {
                await planIntegrations(services, transaction, plan, environment.id, body.integrations, prepared);
            }
            plan.refuseUnused();
            if (plan.issues.length > 0) {
                throw ApiError.invalid('invalid_body', plan.issues);
            }
            if (!isDryRun) {
                await plan.carryOut();
            }
        })
        .catch((error: unknown) => {
            throw asApiError(error);
        });
    return plan.changes;
}

/** @throws ApiError 403 */
function assertSections(principal: Principal, body: Partial<Record<'webhooks' | 'variables' | 'integrations', unknown>>): void {
    const needed: Scope[] = [
        ...(body.webhooks === undefined ? [] : (['environment:webhooks:write'] as const)),
        ...(body.variables === undefined ? [] : (['environment:variables:write'] as const)),
        ...(body.integrations === undefined ? [] : (['environment:integrations:create', 'environment:integrations:update'] as const)),
    ];
    needed.forEach((scope) => assertAccess(principal, [scope]));
}
