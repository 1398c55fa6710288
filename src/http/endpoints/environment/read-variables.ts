/** GET /environment-variables (http-api §10.4). */
import { z } from 'zod';
import { openVariables } from '../../../environments/variables.ts';
import * as variables from '../../../store/environment-variables.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { Variable } from './variable-fields.ts';

export const readVariables = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment-variables'],
        tag: 'Environment',
        summary: 'List the variables of the environment, with their values',
        description: 'By name.',
        authenticate: apiKey(services),
        access: ['environment:variables:read'],
        noStore: true,
        answers: { 200: z.array(Variable) },
        async handle({ principal }) {
            return openVariables(services.vault, await variables.list(services.database.db, principal.environment!.id));
        },
    });
