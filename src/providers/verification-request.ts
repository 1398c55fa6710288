/**
 * The calls that prove an API key or a user name and password before they are stored (auth-modes contract 17.1). Only what to
 * send: the caller sends them in order until one answers 2xx.
 */
import type { Provider } from './provider.ts';
import { interpolate, interpolateTree } from './value-template.ts';
import type { ExpressionValues } from './value-template.ts';

export interface VerificationRequest {
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    url: URL;
    /** Names in lower case. */
    headers: Record<string, string>;
    body: string | undefined;
}

export interface VerificationValues {
    /** As submitted or stored: `apiKey`, or `username` and `password`. */
    credentials: Readonly<Record<string, unknown>>;
    connectionConfig: Readonly<Record<string, unknown>>;
}

/**
 * One request per endpoint of `proxy.verification`; none if the entry has no such block, and then nothing can be tested.
 * @throws TemplateError when a value of the URL is missing or does not fit.
 */
export function verificationRequests(provider: Provider, values: VerificationValues): VerificationRequest[] {
    const { verification } = provider;
    if (!verification) return [];
    const headers = requestHeaders(provider, values);
    return verification.urls.map((template) => {
        const url = template.build(values);
        appendQuery(url, provider.entry.proxy?.query, values);
        const body = verification.method === 'GET' ? undefined : requestBody(provider, values, headers['content-type']);
        return { method: verification.method, url, headers: { ...headers }, body };
    });
}

/** The mode's own header, then the entry's, then those of the check; each replaces one of the same name. */
function requestHeaders(provider: Provider, values: ExpressionValues): Record<string, string> {
    const templates: Record<string, string> = {};
    if (provider.authMode === 'BASIC' || provider.authMode === 'INSTALL_PLUGIN')
        templates['authorization'] = 'Basic ${base64(${username}:${password})}';
    for (const [name, template] of Object.entries({ ...provider.entry.proxy?.headers })) templates[name.toLowerCase()] = template;
    for (const [name, template] of Object.entries({ ...provider.verification?.headers })) templates[name.toLowerCase()] = template;

    const headers: Record<string, string> = {};
    for (const [name, template] of Object.entries(templates)) {
        const value = interpolate(template, values);
        if (value !== undefined) headers[name] = value;
    }
    return headers;
}

function appendQuery(url: URL, query: Readonly<Record<string, string>> | undefined, values: ExpressionValues): void {
    for (const [name, template] of Object.entries({ ...query })) {
        const value = interpolate(template, values);
        if (value === undefined) continue;
        url.search += `${url.search === '' ? '?' : '&'}${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
    }
}

/** The data of the check and the members the entry adds to every body, for vendors that want the key there. */
function requestBody(provider: Provider, values: ExpressionValues, contentType: string | undefined): string | undefined {
    const data = { ...provider.verification?.data, ...provider.entry.proxy?.body };
    if (Object.keys(data).length === 0) return undefined;
    const body = interpolateTree(data, values);
    if (contentType !== 'application/x-www-form-urlencoded') return JSON.stringify(body ?? {});
    return new URLSearchParams(Object.entries({ ...(body as object) }).map(([name, value]) => [name, String(value)])).toString();
}
