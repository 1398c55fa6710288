/** An environment with its settings, as the API shows it and as it is changed (settings S2, §4.1). */
import { z } from 'zod';
import { effectiveCallbackUrl, openOtlpHeaders, type EnvironmentSettings, type SettingsContext } from '../../../environments/settings.ts';
import { EnvName } from '../../field-types.ts';
import type { Services } from '../../services.ts';

/** An http(s) URL that may be kept in the clear. */
const HttpUrl = z.url({ protocol: /^https?$/ }).superRefine((text, context) => {
    const url = URL.parse(text);
    if (url !== null && (url.username !== '' || url.password !== '')) {
        context.addIssue({ code: 'custom', message: 'A URL here must not carry a user name or password' });
    }
});

/** RFC 6749 §3.1.2: a redirection endpoint has no fragment. */
const CallbackUrl = HttpUrl.refine((text) => !text.includes('#'), { message: 'A callback URL must not have a fragment' });

const keptOnly = 'Kept and returned; it has no effect in this version.';

/** The settings that a document of them has too (S7). */
export const settingFields = {
    callback_url: z
        .union([z.null(), z.literal(''), CallbackUrl])
        .describe(
            'The redirect URI of new flows; flows under way keep theirs. `null` or empty: `<public URL>/oauth/callback`. An address of your own has to answer ' +
                '308 to that default, with the query as it came; `POST /environment/callback-url/check` tries it.',
        ),
    accepts_forwarded_callbacks: z
        .boolean()
        .describe(
            'Whether a callback may arrive without the cookie of the browser that began the flow, because a server of yours forwards it. Less safe.',
        ),
    accept_unverified_credentials: z
        .boolean()
        .describe(
            'Whether typed-in or imported credentials are kept when their provider cannot be asked about them (429, 5xx, no answer). Off: 503 ' +
                '`verification_unavailable`. What the provider rejects is refused in any case.',
        ),
    hmac_enabled: z.boolean().describe(`For clients that authenticate with public keys, which are not served. ${keptOnly}`),
    slack_notifications: z.boolean().describe(keptOnly),
    otlp_endpoint: z.union([z.null(), z.literal(''), HttpUrl]).describe(`Where to export telemetry to. ${keptOnly}`),
    allowed_return_urls: z
        .array(HttpUrl)
        .max(100)
        .describe('Where a connect link may send its user afterwards: origins, or URLs that the target begins with.'),
};

export const OtlpHeader = z.strictObject({ name: z.string().min(1).max(256), value: z.string().min(1).max(4000) });
export const HmacKey = z.string().max(1000);

/** The body of PATCH. */
export const EnvironmentChange = z
    .strictObject({
        name: EnvName.describe('Webhooks carry it. `prod` cannot be renamed, nor an environment whose key is fixed by VALETKEY_SECRET_KEY_<NAME>.'),
        is_production: z
            .boolean()
            .describe('Accepted if it is what it is already; `PATCH /environments/:environmentId` changes it, with an account key.'),
        ...settingFields,
        hmac_key: z.union([z.null(), HmacKey]).describe(`Write-only. ${keptOnly}`),
        otlp_headers: z.union([z.null(), z.array(OtlpHeader).max(100)]).describe(`Replaces all of them. The values are write-only. ${keptOnly}`),
        allowed_return_urls: z.union([z.null(), settingFields.allowed_return_urls]).describe(settingFields.allowed_return_urls.description!),
    })
    .partial()
    .refine((change) => Object.keys(change).length > 0, { message: 'Name at least one setting', when: ({ issues }) => issues.length === 0 });

export const Environment = z.object({
    id: z.int(),
    uuid: z.uuid(),
    name: z.string().meta({ examples: ['staging'] }),
    is_production: z.boolean(),
    callback_url: z.string().describe('The redirect URI of new flows: the one that was set, or the default.'),
    previous_callback_urls: z
        .array(z.string())
        .describe('Redirect URIs of earlier flows, newest first: apps at providers may still have them registered.'),
    accepts_forwarded_callbacks: z.boolean(),
    accept_unverified_credentials: z.boolean(),
    hmac_enabled: z.boolean().describe(keptOnly),
    hmac_key_set: z.boolean().describe('Whether there is an HMAC key; the key itself is not shown.'),
    slack_notifications: z.boolean().describe(keptOnly),
    otlp_endpoint: z.string().nullable().describe(keptOnly),
    otlp_headers: z
        .array(z.object({ name: z.string().meta({ examples: ['Authorization'] }) }))
        .describe(`The names; values are not shown. ${keptOnly}`),
    allowed_return_urls: z.array(z.string()),
    webhook_receive_url: z.string().describe('What webhook addresses given to providers begin with; the integration’s key follows.'),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
});

export const settingsContext = ({ vault, sources, config }: Pick<Services, 'vault' | 'sources' | 'config'>): SettingsContext => ({
    vault,
    sources,
    defaultCallbackUrl: `${config.publicUrl}/oauth/callback`,
    hasFixedKey: (name) => config.secretKeys.has(name),
});

export async function environmentView(services: Services, { environment, settings }: EnvironmentSettings): Promise<z.output<typeof Environment>> {
    return {
        id: environment.public_id,
        uuid: environment.id,
        name: environment.name,
        is_production: environment.is_production,
        callback_url: effectiveCallbackUrl(settingsContext(services), environment.callback_url),
        previous_callback_urls: settings.previous_callback_urls,
        accepts_forwarded_callbacks: environment.accepts_forwarded_callbacks,
        accept_unverified_credentials: environment.accept_unverified_credentials,
        hmac_enabled: settings.hmac_enabled,
        hmac_key_set: settings.sealed_hmac_key !== null,
        slack_notifications: settings.slack_notifications,
        otlp_endpoint: settings.otlp_endpoint,
        otlp_headers: (await openOtlpHeaders(services.vault, settings)).map(({ name }) => ({ name })),
        allowed_return_urls: settings.allowed_return_urls,
        webhook_receive_url: `${services.config.publicUrl}/webhook/${environment.id}`,
        created_at: environment.created_at.toISOString(),
        updated_at: environment.updated_at.toISOString(),
    };
}
