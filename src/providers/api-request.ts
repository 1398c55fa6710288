/**
 * Builds a call to a provider's API: address, headers and body from the entry's `proxy` block and from what the caller wants.
 * Only texts of the catalogue are templates; what the caller writes is taken literally (P7). Which credentials go in, and how a
 * mode signs, is `auth-modes/authenticated-request.ts`.
 */
import type { ClientCertificate } from '../egress/egress.ts';
import type { EgressRequest } from '../egress/egress.ts';
import { addToBody, type Body } from './api-body.ts';
import { joinUrl, setParameter, type ApiUrl } from './api-url.ts';
import { keyPlacement } from './key-placement.ts';
import type { Provider } from './provider.ts';
import { headerStage, interpolate } from './value-template.ts';
import type { ExpressionValues, HeaderStage } from './value-template.ts';

export type Method = NonNullable<EgressRequest['method']>;
type HeaderMap = Readonly<Record<string, string>>;

export interface ApiCall {
    method: Method;
    /** Path and query below the base URL, or below it and with it in front. A `URL` stands for itself: the catalogue named it whole. */
    endpoint: string | URL;
    /** Names in any case. */
    headers?: HeaderMap;
    /** Added to those of the endpoint; one of the same name is replaced. */
    query?: Readonly<Record<string, string>>;
    /** Sent with every method but GET. */
    body?: Body;
    /** Instead of the provider's own. */
    baseUrlOverride?: URL;
}

export interface ApiRequest {
    method: Method;
    url: URL;
    /** Names in lower case. */
    headers: Record<string, string>;
    body: Body | undefined;
    /** Of entries that demand mutual TLS (N6). */
    clientCertificate?: ClientCertificate;
}

export interface Authentication {
    values: ExpressionValues & { connectionConfig: Readonly<Record<string, unknown>> };
    /** The integration's values of `integration_config`. */
    settings?: Readonly<Record<string, string>>;
    /** Base URL that the connection itself sets. */
    baseUrl?: URL;
    /** What the mode sends by itself; an entry's or caller's header of the same name replaces it. */
    modeHeaders?(request: ApiRequest): HeaderMap;
    /** Goes over everything else. */
    sign?(request: ApiRequest): HeaderMap;
}

/** The call cannot be made as it is. The message names what is wrong, never a value. */
export class ApiRequestError extends Error {
    override readonly name = 'ApiRequestError';
    readonly code: 'unsupported_provider' | 'invalid_endpoint' | 'invalid_base_url';

    constructor(code: ApiRequestError['code'], message: string) {
        super(message);
        this.code = code;
    }
}

/** @throws TemplateError when a value of the base URL is missing or does not fit; ApiRequestError */
export function apiRequest(provider: Provider, call: ApiCall, authentication: Authentication): ApiRequest {
    const { values } = authentication;
    const { method } = call;
    const templates = entryHeaders(provider);
    const key = keyPlacement(provider, authentication.settings, values);
    const { url, endpoint } = apiUrl(provider, call, authentication);
    for (const [name, template] of Object.entries(provider.entry.proxy?.query ?? {})) {
        const value = interpolate(template, values);
        if (value !== undefined) setParameter(url, name, value);
    }
    if (key?.placement === 'query') setParameter(url, key.name, key.value);

    // Signatures see the other headers, so those that do not depend on the call come first.
    const fromEntry = filled(templates.plain, values);
    if (key?.placement === 'header') fromEntry[key.name.toLowerCase()] = key.value;
    const fromCaller = lowerCased(call.headers ?? {});
    // The vendor wants to know whose integration calls, whoever is behind it (webhooks-proxy §3.4).
    if (fromEntry['user-agent'] !== undefined) delete fromCaller['user-agent'];
    const { body, contentType } = addToBody(provider.entry.proxy?.body, values, {
        body: method === 'GET' ? undefined : call.body,
        contentType: fromCaller['content-type'] ?? fromEntry['content-type'],
        hasBody: method !== 'GET',
    });
    const settled = { ...(contentType === undefined ? {} : { 'content-type': contentType }), ...fromEntry, ...fromCaller };

    const modeHeaders = { ...authentication.modeHeaders?.({ method, url, headers: settled, body }) };
    // A template of the entry that does not resolve must not bring back what it replaces, which may show a secret.
    for (const name of Object.values(templates).flatMap((stage) => Object.keys(stage))) delete modeHeaders[name];
    const outgoing = { method, url, endpoint, body };
    const ofCall = filled(templates['of call'], { ...values, request: { ...outgoing, headers: settled } });
    const overHeaders = filled(templates['over headers'], { ...values, request: { ...outgoing, headers: { ...settled, ...ofCall, ...fromCaller } } });
    const request = { method, url, headers: { ...modeHeaders, ...settled, ...ofCall, ...overHeaders, ...fromCaller }, body };
    return { ...request, headers: { ...request.headers, ...authentication.sign?.(request) } };
}

function apiUrl(provider: Provider, call: ApiCall, { values, settings, baseUrl }: Authentication): ApiUrl {
    if (call.endpoint instanceof URL) {
        const url = new URL(call.endpoint);
        for (const [name, value] of Object.entries(call.query ?? {})) setParameter(url, name, value);
        return { url, endpoint: url.pathname + url.search };
    }
    const base = call.baseUrlOverride ?? baseUrl ?? configuredBase(settings) ?? provider.proxyBaseUrl?.build(values);
    if (base === undefined) {
        throw new ApiRequestError('unsupported_provider', `${provider.displayName} has no base URL for API calls.`);
    }
    if (!isPlainOrigin(base))
        throw new ApiRequestError('invalid_base_url', 'The base URL must be an http or https URL without user name and password.');
    const joined = joinUrl(base, call.endpoint, call.query ?? {}, call.baseUrlOverride === undefined);
    if (joined === undefined) throw new ApiRequestError('invalid_endpoint', 'The endpoint must be a path below the base URL.');
    return joined;
}

/** Of a generic API, whose address the operator sets (webhooks-proxy §3.2 no. 2). */
function configuredBase(settings: Readonly<Record<string, string>> = {}): URL | undefined {
    const text = settings['keyName'] ? settings['baseUrl'] : undefined;
    if (!text) return undefined;
    if (!URL.canParse(text)) throw new ApiRequestError('invalid_base_url', 'The setting "baseUrl" of the integration is not a URL.');
    return new URL(text);
}

const isPlainOrigin = ({ protocol, username, password }: URL): boolean =>
    (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';

/** The entry's headers, by when they can have their value. */
function entryHeaders(provider: Provider): Record<HeaderStage, Record<string, string>> {
    const stages: Record<HeaderStage, Record<string, string>> = { plain: {}, 'of call': {}, 'over headers': {} };
    for (const [name, template] of Object.entries(lowerCased(provider.entry.proxy?.headers ?? {}))) stages[headerStage(template)][name] = template;
    return stages;
}

/** Templates with their values. One that does not resolve is left out (catalogue contract 5). */
export function filled(templates: HeaderMap, values: ExpressionValues): Record<string, string> {
    const found: Record<string, string> = {};
    for (const [name, template] of Object.entries(templates)) {
        const value = interpolate(template, values);
        if (value !== undefined) found[name] = value;
    }
    return found;
}

export const lowerCased = (headers: HeaderMap): Record<string, string> =>
    Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
