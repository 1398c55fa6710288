/** The bodies of failures (http-api §1.5), for the description; `errors.ts` makes them. */
import { z } from 'zod';

const ValidationIssue = z
    .strictObject({
        code: z.string().meta({ description: 'What is wrong, in the words of zod 4.', examples: ['invalid_type'] }),
        message: z.string().meta({ description: 'For people.', examples: ['Invalid input: expected string, received undefined'] }),
        path: z.array(z.string()).meta({ description: 'Where in the input; `[]` is the whole of it.', examples: [['end_user', 'id']] }),
    })
    .meta({ id: 'ValidationIssue' });

export const ValidationError = z
    .strictObject({
        error: z.strictObject({
            code: z.enum(['invalid_body', 'invalid_query_params', 'invalid_uri_params']),
            message: z.string().optional().describe('For people; where the browser client shows it. May change.'),
            errors: z.array(ValidationIssue),
        }),
    })
    .meta({ id: 'ValidationError', description: 'The input does not have the form that is documented.' });

export const SimpleError = z
    .strictObject({
        error: z.strictObject({
            code: z.string().describe('Stable; branch on it.'),
            message: z.string().optional().describe('For people; may change.'),
            payload: z.record(z.string(), z.unknown()).optional().describe('More, where the operation says so.'),
        }),
    })
    .meta({ id: 'SimpleError' });

export const LegacyError = z
    .strictObject({
        error: z.strictObject({
            message: z.string().describe('For people; may change.'),
            code: z.string().describe('Stable; branch on it.'),
            payload: z
                .union([z.record(z.string(), z.unknown()), z.string()])
                .describe('Mostly empty; of a `generic_error_support`, the number under which the log has the details.'),
        }),
    })
    .meta({ id: 'LegacyError', description: 'An older form, which clients rely on where it is used.' });

export const RateLimitError = z
    .strictObject({
        error: z.strictObject({ code: z.literal('too_many_request'), message: z.string(), method: z.string(), path: z.string() }),
    })
    .meta({ id: 'RateLimitError' });
