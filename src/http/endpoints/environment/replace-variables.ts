/** PUT /environment-variables (settings S2). */
import { z } from 'zod';
import { sealVariables } from '../../../environments/variables.ts';
import * as environments from '../../../store/environments.ts';
import * as stored from '../../../store/environment-variables.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { environmentGone } from './settings-refusals.ts';
import { Variable, Variables } from './variable-fields.ts';

export const replaceVariables = (services: Services) =>
    endpoint({
        method: 'PUT',
        paths: ['/environment-variables'],
        tag: 'Environment',
        summary: 'Replace the variables of the environment',
        description: 'The whole set: what the array does not name is removed. Answers the variables as they are now.',
        authenticate: apiKey(services),
        access: ['environment:variables:write'],
        body: Variables,
        noStore: true,
        answers: { 200: z.array(Variable) },
        errors: { 404: ['not_found'] },
        async handle({ body, principal }) {
            await services.database.db.transaction().execute(async (transaction) => {
                // One at a time: of two sets written at once, one remains as a whole.
                const environment = await environments.lock(transaction, principal.environment!.id);
                if (environment === undefined) {
                    throw environmentGone();
                }
                await stored.replaceAll(transaction, environment.id, sealVariables(services, environment.id, body));
            });
            return body.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
        },
    });
