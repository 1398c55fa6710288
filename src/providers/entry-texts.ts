/** Where an entry holds templates, and which of them are URLs. */
import { parseTemplate, references } from './expression.ts';
import { joinEndpoint } from './provider.ts';
import type { ProviderEntry } from './provider.ts';

export interface EntryText {
    /** Dotted path inside the entry. */
    readonly path: string;
    readonly text: string;
    /** Body texts may hold braces of their own, such as GraphQL. */
    readonly isBody: boolean;
}

export interface UrlSource {
    readonly path: string;
    readonly text: string;
    /** The integration's secret, or the person's consent, travels there. */
    readonly isTokenUrl: boolean;
}

const plainKeys = [
    'authorization_url',
    'authorization_params',
    'token_url',
    'token_headers',
    'refresh_url',
    'refresh_token_headers',
    'revocation_url',
    'request_url',
    'registration_url',
] as const;
const bodyKeys = ['token_params', 'refresh_params', 'refresh_token_params', 'request_params', 'additional_steps', 'assertion', 'token'] as const;

/** Every text of an entry in which expressions are evaluated. */
export function entryTexts(entry: ProviderEntry): EntryText[] {
    const { proxy } = entry;
    return [
        ...plainKeys.flatMap((key) => textsIn(entry[key], key, false)),
        ...bodyKeys.flatMap((key) => textsIn(entry[key], key, true)),
        ...textsIn(proxy?.base_url, 'proxy.base_url', false),
        ...textsIn(proxy?.headers, 'proxy.headers', false),
        ...textsIn(proxy?.query, 'proxy.query', false),
        ...textsIn(proxy?.connection_config, 'proxy.connection_config', false),
        ...textsIn(proxy?.body, 'proxy.body', true),
        ...textsIn(proxy?.verification, 'proxy.verification', true),
    ];
}

/** Every text of an entry that must compile as a URL. Steps that build on earlier answers are judged when they run. */
export function urlSources(entry: ProviderEntry): UrlSource[] {
    const { proxy } = entry;
    const sources: UrlSource[] = [];
    const add = (path: string, value: unknown, isTokenUrl: boolean): void => {
        for (const { path: place, text } of textsIn(value, path, false)) sources.push({ path: place, text, isTokenUrl });
    };
    for (const key of ['authorization_url', 'token_url', 'refresh_url', 'revocation_url', 'request_url', 'registration_url'])
        add(key, entry[key], true);
    add('proxy.base_url', proxy?.base_url, false);
    add('proxy.verification.base_url_override', proxy?.verification?.base_url_override, false);
    for (const [index, endpoint] of (proxy?.verification?.endpoints ?? []).entries()) {
        const baseUrl = proxy?.verification?.base_url_override ?? proxy?.base_url ?? '';
        add(`proxy.verification.endpoints.${index}`, joinEndpoint(baseUrl, endpoint), false);
    }
    for (const [index, step] of ((entry['additional_steps'] ?? []) as { token_url: string }[]).entries()) {
        const isOwn = !parseTemplate(step.token_url).some((parts) => references(parts).some(({ root }) => root.startsWith('step')));
        if (isOwn) add(`additional_steps.${index}.token_url`, step.token_url, true);
    }
    return sources;
}

/** Configuration names in the host part of a URL template, in any of its alternatives. */
export function hostParts(template: string): string[] {
    return parseTemplate(template).flatMap((parts) => {
        const end = parts.findIndex((part, index) => typeof part === 'string' && /[/?]/.test(index === 0 ? part.replace(/^https?:\/\//, '') : part));
        return references(end < 0 ? parts : parts.slice(0, end))
            .filter(({ root }) => root === 'connectionConfig')
            .map(({ name }) => name);
    });
}

function textsIn(value: unknown, path: string, isBody: boolean): EntryText[] {
    if (typeof value === 'string') return [{ path, text: value, isBody }];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, member]) => textsIn(member, `${path}.${key}`, isBody));
}
