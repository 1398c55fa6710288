/** PATCH /environments/:environmentId: the one setting that is the account's to decide. */
import { z } from 'zod';
import { setProduction as set } from '../../../environments/settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { PublicId } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { asApiError } from './settings-refusals.ts';

export const setProduction = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/environments/:environmentId'],
        tag: 'Environments',
        summary: 'Say whether an environment is a production environment',
        description: '`prod` always is. Every other setting is changed with a key of the environment, by `PATCH /environment`.',
        operationId: 'setEnvironmentProduction',
        authenticate: apiKey(services),
        access: ['account:environments:set_production'],
        params: z.object({ environmentId: PublicId }),
        body: z.strictObject({ is_production: z.boolean() }),
        answers: {
            200: z.object({
                data: z.object({ id: z.int(), uuid: z.uuid(), name: z.string().meta({ examples: ['staging'] }), is_production: z.boolean() }),
            }),
        },
        errors: { 400: ['cannot_toggle_prod_environment'], 404: ['not_found'] },
        async handle({ body, params }) {
            const row = await services.database.db
                .transaction()
                .execute(async (transaction) => {
                    const found = await environments.findByPublicId(transaction, params.environmentId);
                    const stored = found && (await environments.lock(transaction, found.id));
                    if (stored === undefined) {
                        throw ApiError.simple(404, 'not_found', 'There is no environment with this id.');
                    }
                    return set(transaction, services, stored, body.is_production);
                })
                .catch((error: unknown) => {
                    throw asApiError(error);
                });
            return { data: { id: row.public_id, uuid: row.id, name: row.name, is_production: row.is_production } };
        },
    });
