/** What a caller says about an integration, and what its provider says to that (http-api §7.2). */
import { z } from 'zod';
import { checkIntegrationConfig } from '../../../providers/integration-config.ts';
import type { AuthMode, Provider } from '../../../providers/provider.ts';
import type { IntegrationCredentials } from '../../../environments/integration.ts';
import { ApiError } from '../../errors.ts';
import { maxSettingLength } from '../../../providers/field-rule.ts';

export const Scopes = z
    .union([z.literal(''), z.string().regex(/^[0-9a-zA-Z:/_.*-]+(,[0-9a-zA-Z:/_.*-]+)*$/, { abort: true })])
    .describe('Comma separated, without spaces.');

export const ClientId = z.string().min(1).max(255);

const OauthApp = <Type extends string>(type: Type) =>
    z.strictObject({
        type: z.literal(type),
        client_id: ClientId,
        client_secret: z.string().min(1),
        scopes: Scopes.optional(),
        webhook_secret: z.string().max(255).optional().describe('What the provider signs its webhooks with. Empty: none.'),
    });

/** PKCS#1 or PKCS#8, with whatever a clipboard has left around it. */
export const PrivateKey = z
    .string()
    .max(32_768)
    .regex(/^\s*-----BEGIN (RSA )?PRIVATE KEY----[\s\S]*-----END (RSA )?PRIVATE KEY-----\s*$/)
    .trim()
    .describe('An RSA private key as PEM.');
export const AppId = z.string().min(1).max(255);
export const AppLink = z.string().min(1).describe('Where users install the app.');

export const Credentials = z.discriminatedUnion('type', [
    OauthApp('OAUTH1'),
    OauthApp('OAUTH2').describe('Also for providers of the auth mode MCP_OAUTH2, with a client that was registered by hand.'),
    OauthApp('TBA'),
    z.strictObject({ type: z.literal('APP'), app_id: AppId, app_link: AppLink, private_key: PrivateKey }),
    z.strictObject({
        type: z.literal('CUSTOM'),
        client_id: ClientId,
        client_secret: z.string().min(1),
        app_id: AppId,
        app_link: AppLink,
        private_key: PrivateKey,
    }),
]);

export const IntegrationConfig = z
    .record(z.string(), z.string().max(maxSettingLength))
    .describe('Settings that the provider’s `integration_config` declares; for such providers only.');
export const Custom = z.record(z.string(), z.string()).describe('Values of your own; for providers without `integration_config`.');

/** N2. */
export const AllowedHosts = z
    .array(z.string().regex(/^\.?[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*(:\d+)?$/))
    .max(50)
    .describe('Hosts that may receive the client secret where a connection chooses the host; `.example.com` for every host below it.');

export const invalidBody = (message: string): ApiError => ApiError.simple(400, 'invalid_body', message);

/** Shape A with a code of its own, as the reference has it (http-api §7.2). */
const invalidString = (field: string, message: string): ApiError =>
    ApiError.invalid('invalid_body', [{ code: 'invalid_string', message, path: [field] }]);

export const unknownProvider = (name: string): ApiError => invalidString('provider', `There is no provider "${name}".`);
export const keyTaken = (): ApiError => invalidString('unique_key', 'An integration with this key exists already.');
export const noIntegration = (): ApiError => ApiError.simple(404, 'not_found', 'There is no integration with this key, or its provider is gone.');

/** A client registered by hand is an OAuth client, however else such clients come about. */
export const credentialsType = (mode: AuthMode): string => (mode === 'MCP_OAUTH2' ? 'OAUTH2' : mode);

/** @throws ApiError */
export function assertCredentialsFit(provider: Provider, credentials: IntegrationCredentials | undefined): void {
    if (credentials !== undefined && credentials.type !== credentialsType(provider.authMode)) {
        throw invalidBody(
            `These are credentials of the type ${credentials.type}, but ${provider.displayName} is of the auth mode ${provider.authMode}.`,
        );
    }
}

const modesWithCredentials: ReadonlySet<AuthMode> = new Set(['OAUTH1', 'OAUTH2', 'APP', 'CUSTOM']);

/** Whether there are no integrations of it without. */
export const needsCredentials = (provider: Provider): boolean => modesWithCredentials.has(provider.authMode);

/** @throws ApiError */
export function assertCredentialsGiven(provider: Provider, credentials: IntegrationCredentials | undefined): void {
    if (credentials === undefined && needsCredentials(provider)) {
        throw invalidBody(`${provider.displayName} needs credentials of the type ${provider.authMode}: those of your own app at the provider.`);
    }
}

interface Settings {
    integration_config?: Record<string, string> | undefined;
    custom?: Record<string, string> | undefined;
}

/**
 * @param stored present when these settings are a change of them
 * @returns what may be stored of `integration_config` @throws ApiError
 */
export function acceptedConfig(
    provider: Provider,
    { integration_config, custom }: Settings,
    stored?: Readonly<Record<string, string>>,
): Record<string, string> | undefined {
    const checked = integration_config && checkIntegrationConfig(provider, integration_config, stored);
    if (checked !== undefined && checked.problems.length > 0) {
        throw invalidBody(checked.problems.join(' '));
    }
    if (custom !== undefined && provider.entry.integration_config !== undefined) {
        throw invalidBody(`${provider.displayName} has an integration_config, which takes the place of custom.`);
    }
    return checked?.values;
}
