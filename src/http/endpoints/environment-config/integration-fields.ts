/** What a document says about an integration (S7), and where the same is found in a stored one. */
import { z } from 'zod';
import { isSecretName } from '../../../credentials/connection-secrets.ts';
import { webhookSecretName, type IntegrationSetup } from '../../../environments/integration.ts';
import { maxSettingLength } from '../../../providers/field-rule.ts';
import type { AuthMode, Provider } from '../../../providers/provider.ts';
import { DisplayName, IntegrationKey, ProviderName } from '../../field-types.ts';
import { AllowedHosts, AppId, AppLink, ClientId, Scopes } from '../integrations/integration-body.ts';
import { SecretReference } from './secret-reference.ts';

const DeclaredIntegration = z.strictObject({
    provider: ProviderName,
    display_name: z.union([z.null(), DisplayName]).optional(),
    forward_webhooks: z.boolean().optional(),
    allowed_hosts: z.union([z.null(), AllowedHosts]).optional(),
    client_id: z.union([z.null(), ClientId]).optional().describe('Of your OAuth app: OAUTH1, OAUTH2, TBA, MCP_OAUTH2, CUSTOM.'),
    client_secret: z.union([z.null(), SecretReference]).optional(),
    scopes: z.union([z.null(), Scopes]).optional().describe('Comma separated. Absent for a new integration: the provider’s defaults.'),
    webhook_secret: z
        .union([z.null(), SecretReference])
        .optional()
        .describe('What the provider signs its webhooks with: OAUTH1, OAUTH2, TBA, MCP_OAUTH2.'),
    app_id: z.union([z.null(), AppId]).optional().describe('Of your app, as its link and its key: APP, CUSTOM.'),
    app_link: z.union([z.null(), AppLink]).optional(),
    private_key: z.union([z.null(), SecretReference]).optional().describe('An RSA key as PEM.'),
    integration_config: z
        .record(z.string(), z.union([z.string().max(maxSettingLength), SecretReference]))
        .optional()
        .describe('All settings of a provider that has some: what is not named is removed. Secret ones are references, others may be.'),
    custom: z.record(z.string(), SecretReference).optional().describe('All values of your own, for other providers: what is not named is removed.'),
});
export type DeclaredIntegration = z.output<typeof DeclaredIntegration>;

export const Integrations = z.record(IntegrationKey, DeclaredIntegration);

export const plainFields = ['display_name', 'forward_webhooks', 'allowed_hosts'] as const;
export const credentialFields = ['client_id', 'client_secret', 'scopes', 'webhook_secret', 'app_id', 'app_link', 'private_key'] as const;
export type CredentialField = (typeof credentialFields)[number];

const client = ['client_id', 'client_secret', 'scopes', 'webhook_secret'] as const;
const app = ['app_id', 'app_link', 'private_key'] as const;
const fieldsByMode: Partial<Record<AuthMode, readonly CredentialField[]>> = {
    OAUTH1: client,
    OAUTH2: client,
    TBA: client,
    MCP_OAUTH2: client,
    APP: app,
    CUSTOM: ['client_id', 'client_secret', 'scopes', ...app],
};
export const fieldsOf = (provider: Provider): readonly CredentialField[] => fieldsByMode[provider.authMode] ?? [];

const secretFields: ReadonlySet<CredentialField> = new Set(['client_secret', 'webhook_secret', 'private_key']);
export const isSecretField = (field: CredentialField): boolean => secretFields.has(field);

/** W08: marked, or named like one. */
export const isSecretSetting = (provider: Provider, name: string): boolean =>
    provider.integrationRules.get(name)?.field.secret === true || isSecretName(name);

/** What an address has in front of its host must not be shown either. */
export function hasUserInfo(value: string): boolean {
    const url = URL.parse(value);
    return url !== null && (url.username !== '' || url.password !== '');
}

/** Empty is none, as everywhere. */
export function storedFields(
    { authMode }: Provider,
    { clientId, clientSecret, scopes, extras }: IntegrationSetup,
): Record<CredentialField, string | null> {
    // Where there is no OAuth client beside the app, the app has its place.
    const isApp = authMode === 'APP';
    return {
        client_id: clientId,
        client_secret: clientSecret,
        scopes: scopes || null,
        webhook_secret: extras.custom?.[webhookSecretName] || null,
        app_id: (isApp ? clientId : extras.app_id) ?? null,
        app_link: extras.app_link ?? null,
        private_key: (isApp ? clientSecret : extras.private_key) ?? null,
    };
}

/** The operator's own values, without what has a field of its own. */
export const storedCustom = (provider: Provider, { extras }: IntegrationSetup): Record<string, string> =>
    Object.fromEntries(Object.entries(extras.custom ?? {}).filter(([name, value]) => value !== '' && !isField(provider, name)));

/** Whether a value of the operator's own is one that documents have a field for. */
export const isField = (provider: Provider, customName: string): boolean =>
    customName === webhookSecretName && fieldsOf(provider).includes('webhook_secret');
