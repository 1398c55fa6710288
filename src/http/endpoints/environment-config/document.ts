/** The settings of an environment as one document (S7). */
import { z } from 'zod';
import { mostVariables } from '../../../environments/variables.ts';
import type { Services } from '../../services.ts';
import { ConnectUi } from '../environment/connect-ui-fields.ts';
import { settingFields } from '../environment/environment-view.ts';
import { refuseTwins, VariableName } from '../environment/variable-fields.ts';
import { webhookSettingFields } from '../environment/webhook-settings-view.ts';
import { Integrations } from './integration-fields.ts';
import { DeclaredEndpoints } from '../webhooks/endpoint-view.ts';
import { SecretReference } from './secret-reference.ts';

export const documentVersion = 1;

const sections = (services: Services) => ({
    version: z.literal(documentVersion),
    environment: z
        .strictObject({
            ...settingFields,
            hmac_key: z.union([z.null(), SecretReference]),
            otlp_headers: z
                .array(
                    z.strictObject({
                        name: z
                            .string()
                            .min(1)
                            .max(256)
                            .meta({ examples: ['Authorization'] }),
                        value: SecretReference,
                    }),
                )
                .max(100),
        })
        .partial()
        .optional(),
    connect_ui: ConnectUi.optional(),
    webhooks: z
        .strictObject({ ...webhookSettingFields(services), endpoints: DeclaredEndpoints(services) })
        .partial()
        .optional(),
    variables: z
        .array(z.strictObject({ name: VariableName, value: SecretReference }))
        .max(mostVariables)
        .superRefine(refuseTwins)
        .optional(),
    integrations: Integrations.optional(),
});

export const ConfigDocument = (services: Services) => z.strictObject(sections(services));

export const ConfigBody = (services: Services) =>
    z
        .strictObject({
            ...sections(services),
            secrets: z
                .record(z.string(), z.string().min(1))
                .optional()
                .describe('Values for the references of the document, by name. Keep them out of the file that holds the document.'),
        })
        .meta({ examples: [example] });

const example = {
    version: documentVersion,
    webhooks: { primary_url: 'https://example.com/valetkey' },
    integrations: { 'github-prod': { provider: 'github', client_id: 'a1b2c3d4', client_secret: { secret: 'github' } } },
    secrets: { github: '…' },
};
