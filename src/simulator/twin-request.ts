/** A request as a twin sees it: addressed to the provider's own host, with its body read in the format it claims to have. */
import { XMLParser } from 'fast-xml-parser';
import { invalidRequest, Refusal } from './refusal.ts';

export interface TwinRequest {
    readonly method: string;
    /** At the provider's origin. */
    readonly url: URL;
    /** Names in lower case. */
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
}

export type BodyFormat = 'form' | 'json' | 'query' | 'xml';

const mediaTypes: Readonly<Record<string, string>> = {
    form: 'application/x-www-form-urlencoded',
    json: 'application/json',
    xml: 'application/xml',
};

export function assertMethod(request: TwinRequest, ...methods: string[]): void {
    if (!methods.includes(request.method)) {
        throw new Refusal(405, 'method_not_allowed', `This endpoint takes ${methods.join(' or ')}, not ${request.method}.`);
    }
}

export const mediaTypeOf = (request: TwinRequest): string => (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();

/** The parameters of a request whose format is fixed. @throws Refusal */
export function readBody(request: TwinRequest, format: BodyFormat): Record<string, unknown> {
    if (format === 'query') {
        if (request.body !== '') throw invalidRequest('Parameters belong into the URL here, and there is a body.');
        return formParams(request.url.search.slice(1));
    }
    const expected = mediaTypes[format]!;
    const actual = mediaTypeOf(request);
    if (actual !== expected && !(format === 'xml' && actual === 'text/xml')) {
        throw new Refusal(415, 'invalid_request', `The body must be ${expected}, not ${actual === '' ? 'untyped' : actual}.`);
    }
    return format === 'form' ? formParams(request.body) : format === 'json' ? jsonObject(request.body) : xmlObject(request.body);
}

/** A parameter must not be repeated (RFC 6749 §3.2). */
export function formParams(text: string): Record<string, string> {
    const params: Record<string, string> = {};
    for (const [name, value] of new URLSearchParams(text)) {
        if (Object.hasOwn(params, name)) throw invalidRequest(`The parameter "${name}" is there twice.`);
        params[name] = value;
    }
    return params;
}

function jsonObject(text: string): Record<string, unknown> {
    try {
        const value: unknown = JSON.parse(text);
        if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    } catch {
        // said below
    }
    throw invalidRequest('The body is not a JSON object.');
}

/** Attributes are keys with a `$`, as the catalogue writes them. */
function xmlObject(text: string): Record<string, unknown> {
    try {
        const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '$', parseTagValue: false, ignoreDeclaration: true });
        return parser.parse(text) as Record<string, unknown>;
    } catch {
        throw invalidRequest('The body is not well-formed XML.');
    }
}

/** User and password of a Basic header (RFC 7617 §2), as they were sent. */
export function basicPair(request: TwinRequest): { user: string; password: string } | undefined {
    const [, encoded] = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(request.headers['authorization'] ?? '') ?? [];
    if (encoded === undefined) return undefined;
    const text = Buffer.from(encoded, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

export const bearerToken = (request: TwinRequest): string | undefined => /^Bearer (\S+)$/i.exec(request.headers['authorization'] ?? '')?.[1];

/** A parameter that must be there. @throws Refusal */
export function required(params: Readonly<Record<string, unknown>>, name: string): string {
    const value = params[name];
    if (typeof value !== 'string' || value === '') throw invalidRequest(`The parameter "${name}" is missing.`);
    return value;
}

/** @throws Refusal */
export function forbidden(params: Readonly<Record<string, unknown>>, ...names: string[]): void {
    for (const name of names) {
        if (params[name] !== undefined) throw invalidRequest(`The parameter "${name}" has no business here.`);
    }
}
