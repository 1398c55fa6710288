/** Webhook endpoints as the API shows them, and what can be set of them (W18). */
import { z } from 'zod';
import type { WebhookEndpointRow } from '../../../store/schema.ts';
import { defaultEventKinds, eventKinds, optInEventKinds } from '../../../webhooks/event-kinds.ts';
import { mostEndpoints } from '../../../webhooks/most-endpoints.ts';
import { judgedUrl } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';

export const EndpointId = z.uuid().meta({ examples: ['019d3f0e-5a7c-7cc1-9a35-0d0f6a3c2b11'] });

export const DisabledReason = z
    .enum(['receiver_gone', 'failing', 'manual'])
    .nullable()
    .meta({ examples: [null] });

const exampleUrl = 'https://hooks.example.com/valetkey';
const names = (kinds: readonly string[]): string => kinds.map((kind) => `\`${kind}\``).join(', ');
const events = z
    .array(z.enum(eventKinds))
    .min(1)
    .max(eventKinds.length)
    .transform((kinds) => eventKinds.filter((kind) => kinds.includes(kind)))
    .describe(
        `The kinds of events that are sent there. Without it those that a handler for the reference knows: ${names(defaultEventKinds)}. ` +
            `Only for endpoints that name them: ${names(optInEventKinds)}.`,
    )
    .meta({ examples: [['auth.creation', 'auth.refresh', 'auth.recovery']] });

/** All that can be set, each of it required. */
export const endpointFields = (services: Services) => ({
    url: judgedUrl((text) => assertWebhookUrl(services, text)).meta({ examples: [exampleUrl] }),
    description: z.string().max(500).nullable().describe('For you.'),
    events,
    follow_redirects: z.boolean().describe('Whether up to three redirects are followed. If not, a redirect is a failure.'),
    own_signing_key: z
        .boolean()
        .describe(
            'Whether what is sent there is signed with keys of its own and not the environment’s, so that no other receiver can write to it: ' +
                '`GET /environment/webhook-signing-key?endpoint_id=…`. From the next delivery on; `false` destroys them.',
        ),
    enabled: z.boolean().describe('What comes for a disabled endpoint is held, not sent.'),
});

/** As the document of an environment has them (S7). */
export const DeclaredEndpoints = (services: Services) => {
    const { url, description, events, follow_redirects, own_signing_key } = endpointFields(services);
    return z
        .array(
            z.strictObject({
                url,
                description: description.default(null),
                events: events.default([...defaultEventKinds]),
                follow_redirects: follow_redirects.default(true),
                own_signing_key: own_signing_key.default(false),
            }),
        )
        .max(mostEndpoints)
        .refine((endpoints) => new Set(endpoints.map(({ url: name }) => name)).size === endpoints.length, { message: 'Each URL may be there once' })
        .describe('Beside `primary_url` and `secondary_url`, named by their URLs. What is not mentioned stays.');
};

export const EndpointView = z
    .object({
        id: EndpointId,
        role: z
            .enum(['primary', 'secondary'])
            .nullable()
            .describe('`primary`: this is `primary_url` of the webhook settings.')
            .meta({ examples: [null] }),
        url: z.string().meta({ examples: [exampleUrl] }),
        description: z
            .string()
            .nullable()
            .meta({ examples: ['Warehouse'] }),
        events: z.array(z.enum(eventKinds)),
        follow_redirects: z.boolean(),
        own_signing_key: z.boolean(),
        enabled: z.boolean(),
        disabled_reason: DisabledReason.describe(
            '`receiver_gone`: it answered 410. `failing`: nothing but failures for three days. `manual`: by `enabled`, through the API.',
        ),
        disabled_at: z.iso
            .datetime()
            .nullable()
            .meta({ examples: [null] }),
        failing_since: z.iso
            .datetime()
            .nullable()
            .describe('The first failure since which nothing arrived.')
            .meta({ examples: [null] }),
        created_at: z.iso.datetime(),
        updated_at: z.iso.datetime(),
    })
    .meta({ id: 'WebhookEndpoint', description: 'A place where webhooks go.' });

export const endpointView = (row: WebhookEndpointRow): z.output<typeof EndpointView> => ({
    id: row.id,
    role: row.role,
    url: row.url,
    description: row.description,
    events: eventKinds.filter((kind) => row.events.includes(kind)),
    follow_redirects: row.follow_redirects,
    own_signing_key: row.own_signing_key,
    enabled: row.disabled_at === null,
    disabled_reason: row.disabled_reason,
    disabled_at: row.disabled_at?.toISOString() ?? null,
    failing_since: row.failing_since?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
});
