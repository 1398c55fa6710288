/** Environment variables as the API has them: a bare array (http-api §10.4). */
import { z } from 'zod';
import { mostVariables } from '../../../environments/variables.ts';

export const VariableName = z
    .string()
    .min(1)
    .max(256)
    .meta({ examples: ['LOG_LEVEL'] });
export const VariableValue = z
    .string()
    .min(1)
    .max(4000)
    .meta({ examples: ['info'] });
export const Variable = z.strictObject({ name: VariableName, value: VariableValue });

/** Reports each name that comes a second time. */
export function refuseTwins(variables: readonly { name: string }[], context: z.RefinementCtx): void {
    const seen = new Set<string>();
    variables.forEach(({ name }, index) => {
        if (seen.has(name)) {
            context.addIssue({ code: 'custom', message: 'There is another variable with this name', path: [index, 'name'] });
        }
        seen.add(name);
    });
}

export const Variables = z.array(Variable).max(mostVariables).superRefine(refuseTwins);
