/** Values that a provider hands over beside a token or in the callback, such as the root of its API. They lead back to its twin. */
import { fieldFault } from './field-rules.ts';
import { twinDomain } from './samples.ts';
import type { Call } from './twin.ts';

const known: Readonly<Record<string, (call: Call) => string | boolean>> = {
    'incoming_webhook.url': () => 'https://hooks.slack.com/services/T000TWIN/B000TWIN/simulated',
    'incoming_webhook.channel': () => '#simulated',
    'incoming_webhook.channel_id': () => 'C000TWIN',
    'team.id': () => 'T000TWIN',
    bot_user_id: () => 'U000TWIN',
    need_patient_banner: () => true,
    owner: () => 'https://api.calendly.com/users/SIMULATED',
    realmId: () => '9341453474484455',
    // Only the account hosts of the vendor itself; the authorization page is on one of them.
    'accounts-server': ({ request }) => request.url.origin,
    api_domain: ({ entry, request }) =>
        entry.slug.startsWith('zoho')
            ? `https://www.zohoapis.${/^accounts\.zoho\.(.+)$/.exec(request.url.host)?.[1] ?? 'com'}`
            : `https://acme-${entry.slug}.${entry.slug}.com`,
    domain_prefix: ({ entry }) => `acme-${entry.slug}`,
    subdomain: ({ entry }) => `acme-${entry.slug}`,
};

const hostOf = (slug: string): string => `https://${slug}.${twinDomain}`;

export function metadataValue(call: Call, name: string): string | boolean {
    const { entry, bindings } = call;
    // What the request was made with is what the provider confirms.
    const echoed = bindings[`connectionConfig.${name}`];
    if (echoed !== undefined) return echoed;
    const value = known[name]?.(call);
    if (value !== undefined) return value;
    const field = entry.connection_config?.[name] ?? {};
    const url = hostOf(entry.slug);
    const isAddress = /url|host|domain|endpoint/i.test(name);
    const isBare = new RegExp(`https://\\$\\{connectionConfig\\.${name}\\}`).test(JSON.stringify(entry.proxy ?? {})) || field.format === 'hostname';
    const candidates = isAddress ? (isBare ? [url.slice('https://'.length), url] : [url]) : [`simulated-${name}`, '1234567890'];
    return candidates.find((candidate) => fieldFault(field, candidate) === undefined) ?? candidates[0]!;
}
