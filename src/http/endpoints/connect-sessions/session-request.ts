/** What the two ways of issuing a connect session have in common: most of the body, and the answer. */
import { z } from 'zod';
import { isUuid } from '../../../auth-modes/aws-sigv4.ts';
import type { IntegrationDefaults, IssuedSession, NewSession } from '../../../connect/connect-session.ts';
import { allowedReturnUrl } from '../../../connect/return-url.ts';
import * as environmentSettings from '../../../store/environment-settings.ts';
import * as integrations from '../../../store/integrations.ts';
import type { EndUser as StoredEndUser } from '../../../store/schema.ts';
import { ApiError, toIssues, type Issue } from '../../errors.ts';
import { IntegrationKey, Organization, webhookUrl, type EndUser, type Tags } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';

export const sessionAccess = ['environment:connect_sessions:write'] as const;

export const webhookUrlOf = (services: Services) => webhookUrl((text) => assertWebhookUrl(services, text));

/** Members of both bodies. */
export const sharedFields = (services: Services) => ({
    organization: Organization.optional().describe('What the end user belongs to. Becomes tags also without `end_user`.'),
    integrations_config_defaults: z
        .record(
            IntegrationKey,
            z.strictObject({
                user_scopes: z.string().optional().describe('Comma separated; sent by Slack integrations only. Not shown to the browser.'),
                authorization_params: z
                    .record(z.string(), z.string())
                    .optional()
                    .describe('Added to the authorization URL, in place of what the browser sends.'),
                connection_config: z
                    .looseObject({
                        oauth_scopes_override: z.string().optional().describe('Comma separated; replaces the scopes of the integration.'),
                        webhook_url: z.unknown().optional().meta({ deprecated: true, description: 'Use `webhook_url_override`.' }),
                    })
                    .optional()
                    .describe('Wins over what the browser sends under the same name.'),
            }),
        )
        .optional()
        .describe('Presets, by integration.'),
    overrides: z
        .record(
            IntegrationKey,
            z.object({ docs_connect: z.string().optional().describe('Help that the Connect UI links, in place of the provider’s page.') }),
        )
        .optional(),
    webhook_url_override: webhookUrlOf(services).optional().describe('Receives the webhooks of the connection in place of the environment’s URLs.'),
    return_url: z
        .string()
        .max(2048)
        .optional()
        .describe('Where a Connect page of its own sends the user afterwards. Must be covered by `allowed_return_urls` of the environment.'),
    single_use: z.boolean().optional().describe('The session ends with its first successful connect.'),
});

/** What of a body the functions below look at. */
export type SharedBody = z.output<z.ZodObject<ReturnType<typeof sharedFields>>> & {
    end_user?: z.output<typeof EndUser> | undefined;
    tags?: z.output<typeof Tags> | undefined;
};

/** @throws ApiError 400 for a nested webhook URL that is none (§4.1 no. 3) */
export function settingsOf(services: Services, body: SharedBody): Pick<NewSession, 'defaults' | 'overrides' | 'endUser' | 'webhookUrlOverride'> {
    const { defaults, webhookUrl: nested } = takeNestedWebhookUrl(services, body.integrations_config_defaults ?? {});
    return {
        defaults: body.integrations_config_defaults === undefined ? null : defaults,
        overrides: body.overrides ?? null,
        endUser: endUserOf(body),
        webhookUrlOverride: body.webhook_url_override ?? nested ?? null,
    };
}

function takeNestedWebhookUrl(
    services: Services,
    given: NonNullable<SharedBody['integrations_config_defaults']>,
): { defaults: Record<string, IntegrationDefaults>; webhookUrl: string | undefined } {
    const WebhookUrl = webhookUrlOf(services);
    const defaults: [string, IntegrationDefaults][] = [];
    const issues: Issue[] = [];
    let webhookUrl: string | undefined;
    for (const [key, preset] of Object.entries(given)) {
        if (preset.connection_config?.webhook_url === undefined) {
            defaults.push([key, preset]);
            continue;
        }
        const { connection_config, ...rest } = preset;
        const { webhook_url, ...config } = connection_config;
        const checked = WebhookUrl.safeParse(webhook_url);
        if (checked.success) {
            webhookUrl ??= checked.data || undefined;
        } else {
            const at = ['integrations_config_defaults', key, 'connection_config', 'webhook_url'];
            issues.push(...toIssues(checked.error).map((issue) => ({ ...issue, path: [...at, ...issue.path] })));
        }
        defaults.push([key, Object.keys(config).length > 0 ? { ...rest, connection_config: config } : rest]);
    }
    if (issues.length > 0) {
        throw ApiError.invalid('invalid_body', issues);
    }
    return { defaults: Object.fromEntries(defaults), webhookUrl };
}

export const organizationOf = ({ organization }: SharedBody): StoredEndUser['organization'] =>
    organization === undefined ? null : { id: organization.id, display_name: organization.display_name ?? null };

export function endUserOf(body: SharedBody): StoredEndUser | null {
    const endUser = body.end_user;
    return endUser === undefined
        ? null
        : {
              id: endUser.id,
              email: endUser.email ?? null,
              display_name: endUser.display_name ?? null,
              tags: endUser.tags ?? null,
              organization: organizationOf(body),
          };
}

/** @throws ApiError 400 when there are more than ten */
export function assertNotTooMany(tags: Record<string, string> | undefined): Record<string, string> {
    if (tags === undefined) {
        throw ApiError.invalid('invalid_body', [
            { code: 'custom', message: 'More than 10 tags, together with those generated from the end user', path: ['tags'] },
        ]);
    }
    return tags;
}

/** §7.29: another is not used, and the page would show the user one that is not the connection's. */
const notAnExternalId = (key: string): Issue => ({
    code: 'custom',
    message: 'The external id of an AWS role is a UUID',
    path: ['integrations_config_defaults', key, 'connection_config', 'external_id'],
});

/**
 * What the body names must be there: all misses are reported together, in the order of the contract (§4.1 no. 4).
 * @returns the URL to come back to, as it was judged. @throws ApiError 400
 */
export async function assertReferences(
    services: Services,
    environmentId: string,
    body: SharedBody,
    allowed: readonly string[],
): Promise<{ returnUrl: string | null }> {
    const { db } = services.database;
    const defaults = Object.keys(body.integrations_config_defaults ?? {});
    const overrides = Object.keys(body.overrides ?? {});
    const known = await integrations.existingKeys(db, environmentId, [...new Set([...allowed, ...defaults, ...overrides])]);
    const miss = (...path: string[]): Issue => ({ code: 'custom', message: 'There is no such integration', path });
    const returnUrl =
        body.return_url === undefined
            ? null
            : allowedReturnUrl(body.return_url, (await environmentSettings.read(db, environmentId)).allowed_return_urls);
    const issues = [
        ...allowed.flatMap((key, index) => (known.has(key) ? [] : [miss('allowed_integrations', String(index))])),
        ...defaults.flatMap((key) => (known.has(key) ? [] : [miss('integrations_config_defaults', key)])),
        ...overrides.flatMap((key) => (known.has(key) ? [] : [miss('overrides', key)])),
        ...defaults.flatMap((key) => {
            const isAws = services.catalogue.get(known.get(key) ?? '')?.authMode === 'AWS_SIGV4';
            const preset = body.integrations_config_defaults?.[key]?.connection_config?.['external_id'];
            return isAws && preset !== undefined && !(typeof preset === 'string' && isUuid(preset)) ? [notAnExternalId(key)] : [];
        }),
        ...(returnUrl === undefined
            ? [{ code: 'custom', message: 'The environment does not allow returning to this URL', path: ['return_url'] }]
            : []),
    ];
    if (returnUrl === undefined || issues.length > 0) {
        throw ApiError.invalid('invalid_body', issues);
    }
    return { returnUrl };
}

export const IssuedSessionAnswer = z.strictObject({
    data: z.strictObject({
        token: z
            .string()
            .regex(/^nango_connect_session_[a-f0-9]{64}$/)
            .describe('For the end user’s browser; good for 30 minutes.'),
        connect_link: z.url().describe('A Connect page of its own, for users who cannot be shown one in your product.'),
        expires_at: z.iso.datetime(),
    }),
});

export const issued = (session: IssuedSession): z.output<typeof IssuedSessionAnswer> => ({
    data: { token: session.token, connect_link: session.connectLink, expires_at: session.expiresAt.toISOString() },
});
