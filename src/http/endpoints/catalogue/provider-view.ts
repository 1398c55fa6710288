/** What a provider's entry is, for the description of the API; `providers/public-form.ts` makes it. */
import { z } from 'zod';

const Field = z
    .looseObject({
        type: z.literal('string'),
        title: z.string(),
        description: z.string(),
        format: z.enum(['hostname', 'uri', 'uuid', 'email']).optional(),
        pattern: z.string().optional(),
        enum: z.array(z.string()).optional(),
        default_value: z.string().optional(),
        optional: z.boolean().optional(),
        secret: z.boolean().optional(),
        hidden: z.boolean().optional(),
        automated: z.boolean().optional(),
    })
    .meta({ id: 'ProviderField', description: 'An input of a form.' });

export const providerExample = {
    name: 'zendesk',
    display_name: 'Zendesk',
    auth_mode: 'OAUTH2',
    categories: ['support'],
    authorization_url: 'https://${connectionConfig.subdomain}.zendesk.com/oauth/authorizations/new',
    token_url: 'https://${connectionConfig.subdomain}.zendesk.com/oauth/tokens',
    docs: 'https://developer.zendesk.com/api-reference/',
    connection_config: {
        subdomain: {
            type: 'string',
            title: 'Subdomain',
            description: 'What stands before .zendesk.com in the address of your account.',
            pattern: '^[a-z0-9-]+$',
            example: 'acme',
        },
    },
    logo_url: 'https://auth.example.com/images/template-logos/zendesk.svg',
};

const Fields = z.record(z.string(), Field);

export const Provider = z
    .looseObject({
        name: z.string(),
        display_name: z.string(),
        auth_mode: z.enum([
            'API_KEY',
            'APP',
            'AWS_SIGV4',
            'BASIC',
            'BILL',
            'CUSTOM',
            'INSTALL_PLUGIN',
            'JWT',
            'MCP_OAUTH2',
            'MCP_OAUTH2_GENERIC',
            'NONE',
            'OAUTH1',
            'OAUTH2',
            'OAUTH2_CC',
            'SIGNATURE',
            'TBA',
            'TWO_STEP',
        ]),
        docs: z.string(),
        logo_url: z.url(),
        categories: z.array(z.string()).optional(),
        docs_connect: z.string().optional(),
        popup: z
            .object({ width: z.int().optional(), height: z.int().optional() })
            .optional()
            .describe('A good size for the window of the consent page.'),
        default_scopes: z.array(z.string()).optional(),
        connection_config: Fields.optional().describe('Asked of the person who connects.'),
        credentials: Fields.optional().describe('Asked of the person who connects, and kept secret.'),
        integration_config: Fields.optional().describe('Asked once per integration.'),
        assertion_option: Fields.optional(),
    })
    .meta({ id: 'Provider', description: 'The catalogue’s entry, with all its other members.', examples: [providerExample] });
