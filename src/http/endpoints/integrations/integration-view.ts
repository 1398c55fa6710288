/** An integration as the API shows it (http-api §7). */
import { z } from 'zod';
import { openExtras } from '../../../credentials/integration-secrets.ts';
import { webhookSecretName, type IntegrationSetup } from '../../../environments/integration.ts';
import { installationWebhookOf } from '../../../providers/installation-events.ts';
import type { Provider } from '../../../providers/provider.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import { logoUrl } from '../../logo-url.ts';
import type { Services } from '../../services.ts';

export const Integration = z.object({
    unique_key: z.string(),
    provider: z.string(),
    display_name: z.string().meta({ description: 'The provider’s, unless the integration has its own.', examples: ['GitHub'] }),
    logo: z.url(),
    forward_webhooks: z.boolean(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    credentials_label: z
        .object({ apiKey: z.string().meta({ examples: ['Access key'] }) })
        .optional()
        .describe('What a form should call the credential.'),
    preconfigured_credentials: z
        .array(z.string().meta({ examples: ['client_id'] }))
        .optional()
        .describe('Credentials that are set on the integration, by name: nobody has to type them in (TWO_STEP).'),
});

/** For keys, which may know where the client secret goes. */
export const OwnIntegration = Integration.extend({
    allowed_hosts: z.array(z.string()).optional().describe('Absent: those of the catalogue.'),
});

export const ListedIntegration = Integration.extend({
    provider_available: z.literal(false).optional().describe('The provider is not in the catalogue any more: nothing can be connected.'),
});

const text = z.string().nullable();

export const ShownCredentials = z.union([
    z.object({
        type: z.enum(['OAUTH1', 'OAUTH2', 'TBA']).meta({ examples: ['OAUTH2'] }),
        client_id: text,
        client_secret: text,
        scopes: text.describe('Comma separated.'),
        webhook_secret: text,
    }),
    z.object({ type: z.literal('APP'), app_id: text, private_key: text.describe('PEM.'), app_link: text }),
    z.object({
        type: z.literal('CUSTOM'),
        client_id: text,
        client_secret: text,
        app_id: text,
        app_link: text,
        private_key: text.describe('PEM.'),
    }),
]);

export async function integrationView(services: Services, row: IntegrationRow): Promise<z.output<typeof Integration>> {
    const provider = services.catalogue.get(row.provider);
    return {
        unique_key: row.unique_key,
        provider: row.provider,
        display_name: row.display_name ?? provider?.displayName ?? row.provider,
        logo: logoUrl(services.config.publicUrl, row.provider),
        forward_webhooks: row.forward_webhooks,
        created_at: row.created_at.toISOString(),
        updated_at: row.updated_at.toISOString(),
        ...(provider && (await presets(services, row, provider))),
    };
}

export const ownIntegrationView = async (services: Services, row: IntegrationRow): Promise<z.output<typeof OwnIntegration>> => ({
    ...(await integrationView(services, row)),
    ...(row.allowed_hosts === null ? {} : { allowed_hosts: row.allowed_hosts }),
});

/** What its settings change about the form that its users see. */
async function presets({ vault }: Services, row: IntegrationRow, provider: Provider) {
    if (provider.entry.integration_config === undefined) {
        return {};
    }
    const { config = {} } = await openExtras(vault, row);
    const label = config['keyLabel'];
    const names = provider.authMode === 'TWO_STEP' ? Object.keys(config) : [];
    return {
        ...(label === undefined ? {} : { credentials_label: { apiKey: label } }),
        ...(names.length === 0 ? {} : { preconfigured_credentials: names }),
    };
}

/** For callers with `read_credentials` only. `null`: integrations of this mode have none. */
export function shownCredentials(provider: Provider, setup: IntegrationSetup): z.output<typeof ShownCredentials> | null {
    const { clientId: client_id, clientSecret: client_secret, extras } = setup;
    const app_link = extras.app_link ?? null;
    switch (provider.authMode) {
        case 'OAUTH1':
        case 'OAUTH2':
        case 'TBA':
        case 'MCP_OAUTH2': {
            const type = provider.authMode === 'MCP_OAUTH2' ? 'OAUTH2' : provider.authMode;
            const webhook_secret = extras.custom?.[webhookSecretName] || null;
            const isRegisteredByItself = provider.authMode === 'MCP_OAUTH2' && client_id === null;
            return isRegisteredByItself ? null : { type, client_id, client_secret, scopes: setup.scopes || null, webhook_secret };
        }
        case 'APP':
            return { type: 'APP', app_id: client_id, private_key: client_secret, app_link };
        case 'CUSTOM':
            return { type: 'CUSTOM', client_id, client_secret, app_id: extras.app_id ?? null, app_link, private_key: extras.private_key ?? null };
        default:
            return null;
    }
}

/** Where the provider is to send its webhooks. `null`: nothing here would understand them. */
export const webhookUrl = ({ config }: Services, row: IntegrationRow, provider: Provider): string | null =>
    hasWebhooks(provider) ? `${config.publicUrl}/webhook/${row.environment_id}/${encodeURIComponent(row.unique_key)}` : null;

export const hasWebhooks = (provider: Provider): boolean =>
    Boolean(provider.entry.webhook_routing_script) || installationWebhookOf(provider) !== undefined;
