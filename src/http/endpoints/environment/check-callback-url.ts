/** POST /environment/callback-url/check (S8). */
import { z } from 'zod';
import { callbackCheckReasons, checkCallback } from '../../../environments/callback-check.ts';
import { effectiveCallbackUrl } from '../../../environments/settings.ts';
import * as environments from '../../../store/environments.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { settingsContext } from './environment-view.ts';
import { environmentGone } from './settings-refusals.ts';

const Check = z.object({
    ok: z.boolean().describe('Whether a browser that is sent to the callback URL arrives at this Valetkey, with the query intact.'),
    status: z
        .int()
        .nullable()
        .meta({ description: 'HTTP status of the last answer; `null` when there was none.', examples: [308] }),
    location: z
        .string()
        .nullable()
        .meta({ description: 'Where the last redirect led, without its query.', examples: ['https://auth.example.com/oauth/callback'] }),
    reason: z
        .enum(callbackCheckReasons)
        .nullable()
        .meta({ examples: [null] })
        .describe(
            'Why not: it cannot be reached from here (`unreachable`) or must not be (`blocked_by_policy`), does not redirect (`no_redirect`) or ends ' +
                'somewhere else (`wrong_location`, `too_many_redirects`), or the query does not arrive as it was sent (`query_changed`).',
        ),
});

export const checkCallbackUrl = (services: Services) =>
    endpoint({
        method: 'POST',
        paths: ['/environment/callback-url/check'],
        tag: 'Environment',
        operationId: 'checkCallbackUrl',
        summary: 'Try the callback URL',
        description:
            'Requests the environment’s callback URL with a made-up query, as a browser would after consent, and follows its redirects until they lead here. ' +
            'The default callback URL needs no redirect and is always fine.',
        authenticate: apiKey(services),
        access: ['environment:settings:read'],
        answers: { 200: z.object({ data: Check }) },
        errors: { 404: ['not_found'] },
        async handle({ principal }) {
            const row = await environments.findById(services.database.db, principal.environment!.id);
            if (row === undefined) {
                throw environmentGone();
            }
            const context = settingsContext(services);
            return { data: await checkCallback(services, effectiveCallbackUrl(context, row.callback_url), context.defaultCallbackUrl) };
        },
    });
