/** A connect session as its own browser sees it (http-api §4.3): what it may do, and nothing that is the backend's business. */
import { z } from 'zod';
import type { IntegrationDefaults } from '../../../connect/connect-session.ts';
import { isSecretName } from '../../../credentials/connection-secrets.ts';
import { connectUiSettings } from '../../../environments/connect-ui-settings.ts';
import type { SessionRead } from '../../../store/connect-sessions.ts';
import type { EndUser } from '../../../store/schema.ts';

type IsMarkedSecret = (integrationKey: string, name: string) => boolean;

const nullableText = z.string().nullable();

const EndUserAnswer = z.strictObject({
    id: z.string(),
    display_name: nullableText,
    email: nullableText,
    tags: z.record(z.string(), z.string()).nullable(),
    organization: z.strictObject({ id: z.string(), display_name: nullableText }).nullable(),
});

export const OutcomeAnswer = z
    .strictObject({
        status: z.enum(['success', 'error']),
        provider_config_key: z.string().optional(),
        connection_id: z.string().optional(),
        is_pending: z.boolean().optional(),
        error: z.strictObject({ type: z.string(), description: z.string() }).optional(),
        at: z.iso.datetime(),
    })
    .nullable();

const PrimaryColour = z.strictObject({ primary: z.string() });

export const SessionAnswer = z.strictObject({
    data: z.strictObject({
        endUser: EndUserAnswer.nullable().describe('Of a reconnect: whom the connection belongs to.'),
        connectUISettings: z.strictObject({
            showWatermark: z.boolean(),
            defaultTheme: z.enum(['light', 'dark', 'system']),
            theme: z.strictObject({ light: PrimaryColour, dark: PrimaryColour }),
            closeOnSuccess: z.boolean(),
        }),
        allowed_integrations: z.array(z.string()).optional().describe('Absent: no restriction.'),
        integrations_config_defaults: z
            .record(
                z.string(),
                z.strictObject({
                    connection_config: z.record(z.string(), z.unknown()).optional().describe('What looks like a secret is masked.'),
                    authorization_params: z.record(z.string(), z.string()).optional(),
                }),
            )
            .optional(),
        isReconnecting: z.literal(true).optional(),
        overrides: z.record(z.string(), z.strictObject({ docs_connect: z.string().optional() })).optional(),
        return_url: z.string().optional().describe('Where a Connect page of its own sends the user afterwards.'),
        return_to: z
            .string()
            .optional()
            .describe(
                'Once the last attempt has succeeded: `return_url` with `status`, `connection_id`, `provider_config_key` and `valetkey_state`, a JWT that your backend can verify with the public key of the environment (`webhook_public_key`); good for five minutes.',
            ),
        websocketsPath: z.string(),
        outcome: OutcomeAnswer.meta({
            description: 'How the last attempt ended, for pages whose popup is gone; `null` before the first.',
            examples: [
                {
                    status: 'success',
                    provider_config_key: 'github-prod',
                    connection_id: '5c1f7d2e-8a44-4d7b-9f0e-2b6f3a1c9d55',
                    is_pending: false,
                    at: '2026-01-02T03:04:05.678Z',
                },
            ],
        }),
    }),
});

/**
 * @param endUser the one of the connection that is renewed, or the session's own
 * @param isMarkedSecret whether the entry of an integration says so of a member of its configuration
 * @param returnTo where its user goes now
 */
export const sessionView = (
    session: SessionRead,
    endUser: EndUser | null,
    defaults: Record<string, IntegrationDefaults>,
    isMarkedSecret: IsMarkedSecret,
    websocketsPath: string,
    returnTo: string | undefined,
) => ({
    data: {
        endUser,
        connectUISettings: connectUiSettings(session),
        ...(session.allowed_integrations === null ? {} : { allowed_integrations: session.allowed_integrations }),
        ...(session.sealed_defaults === null ? {} : { integrations_config_defaults: publicDefaults(defaults, isMarkedSecret) }),
        ...(session.connection_id === null ? {} : { isReconnecting: true }),
        ...(session.overrides === null ? {} : { overrides: session.overrides }),
        ...(session.return_url === null ? {} : { return_url: session.return_url }),
        ...(returnTo === undefined ? {} : { return_to: returnTo }),
        websocketsPath,
        outcome: session.outcome,
    },
});

/** What the browser may see of the presets: names and emptiness, not what looks like a secret (frontend contract §7.18). */
const publicDefaults = (defaults: Record<string, IntegrationDefaults>, isMarkedSecret: IsMarkedSecret): Record<string, unknown> =>
    Object.fromEntries(
        Object.entries(defaults).map(([key, { connection_config, authorization_params }]) => [
            key,
            {
                ...(connection_config === undefined ? {} : { connection_config: masked(connection_config, (name) => isMarkedSecret(key, name)) }),
                ...(authorization_params === undefined ? {} : { authorization_params }),
            },
        ]),
    );

const masked = (config: Record<string, unknown>, isMarkedSecret: (name: string) => boolean): Record<string, unknown> =>
    Object.fromEntries(
        Object.entries(config).map(([name, value]) => [
            name,
            value !== '' && (/key/i.test(name) || isSecretName(name) || isMarkedSecret(name)) ? '********' : value,
        ]),
    );
