/** PATCH /environment (settings S2, S3). */
import { z } from 'zod';
import { changeEnvironment } from '../../../environments/settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { assertMatch, ifMatchDescription, sendTag } from '../../entity-tag.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { Environment, EnvironmentChange, environmentView, settingsContext } from './environment-view.ts';
import { asApiError, environmentGone } from './settings-refusals.ts';

export const updateEnvironment = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/environment'],
        tag: 'Environment',
        summary: 'Change settings of the environment',
        description: `What is not named stays; \`null\`, and for URLs an empty text, clears. ${ifMatchDescription}`,
        authenticate: apiKey(services),
        access: ['environment:settings:update'],
        body: EnvironmentChange,
        answers: { 200: z.object({ data: Environment }) },
        errors: {
            400: ['cannot_rename_prod_environment', 'cannot_rename_environment_with_fixed_key'],
            404: ['not_found'],
            409: ['conflict'],
            412: ['precondition_failed'],
        },
        async handle({ body: { is_production: isProduction, ...change }, principal, request, reply }) {
            const changed = await services.database.db
                .transaction()
                .execute(async (transaction) => {
                    const stored = await environments.lock(transaction, principal.environment!.id);
                    if (stored === undefined) {
                        throw environmentGone();
                    }
                    if (isProduction !== undefined && isProduction !== stored.is_production) {
                        throw ApiError.simple(
                            403,
                            'forbidden',
                            'Insufficient scope. Required: account:environments:set_production, with PATCH /environments/:environmentId',
                        );
                    }
                    assertMatch(request, stored.updated_at);
                    return changeEnvironment(transaction, settingsContext(services), stored, change);
                })
                .catch((error: unknown) => {
                    throw asApiError(error);
                });
            sendTag(reply, changed.environment.updated_at);
            return { data: await environmentView(services, changed) };
        },
    });
