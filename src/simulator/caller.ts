/** Whether a call to a provider's API carries a credential, in the place and form that its entry declares (auth-modes §7–§12). */
import { assertCallerJwt } from './caller-jwt.ts';
import { assertOAuth1, assertTba } from './caller-oauth1.ts';
import { assertComputed, readParams, startReading, type Reading } from './declared-params.ts';
import type { Grant } from './grants.ts';
import { unauthorized, type Refusal } from './refusal.ts';
import { readSigV4, assertSigV4 } from './sigv4.ts';
import { sampleBindings } from './sample-bindings.ts';
import { namesIn, type Bindings } from './text-template.ts';
import { typedValues } from './typed-values.ts';
import { basicPair, bearerToken, formParams, mediaTypeOf, type TwinRequest } from './twin-request.ts';
import type { Call } from './twin.ts';
import { assertWsse } from './wsse.ts';

export interface Caller {
    readonly reading: Reading;
    /** Behind an access token. */
    readonly grant?: Grant;
}

/** @throws Refusal 401 */
export async function assertCaller(call: Call): Promise<Caller> {
    const { entry, request } = call;
    const declared = declaredPlaces(call);
    let reading: Reading = startReading(call);
    for (const [template, actual, what] of declared) reading = readParams(call, template, actual, reading, { what, refuse: unauthorized });
    const token = reading.bindings['accessToken'] ?? reading.bindings['credentials.token'] ?? cookieToken(reading.bindings) ?? bearerToken(request);
    switch (entry.auth_mode) {
        case 'NONE':
            return { reading };
        case 'API_KEY':
        case 'BASIC':
        case 'INSTALL_PLUGIN':
            return { reading: assertTyped(call, withImplied(call, reading)) };
        case 'JWT':
            return { reading: await assertCallerJwt(call, reading, requiredToken(token)) };
        case 'SIGNATURE':
            assertWsse(call, requiredToken(token));
            return { reading };
        case 'OAUTH1':
            return { reading, grant: assertOAuth1(call) };
        case 'TBA':
            assertTba(call);
            return { reading };
        case 'AWS_SIGV4':
            return { reading, grant: assertSessionSignature(call) };
        case 'BILL':
            return { reading, grant: call.world.grants.openAccess(entry.slug, requiredToken(headerOf(request, 'sessionId'))) };
        default: {
            const grant = call.world.grants.openAccess(entry.slug, requiredToken(token));
            return { reading: entry.auth_mode === 'TWO_STEP' ? assertTyped(call, reading) : reading, grant };
        }
    }
}

const headerOf = (request: TwinRequest, name: string): string | undefined => request.headers[name.toLowerCase()];

function requiredToken(token: string | undefined): string {
    if (token === undefined || token === '') throw unauthorized('There is no token where this provider expects one.');
    return token;
}

/** Session cookies hold the token of a login (SAP). */
const cookieToken = (bindings: Bindings): string | undefined => /(?:^|;\s*)B1SESSION=([^;]+)/.exec(bindings['credentials._cookies'] ?? '')?.[1];

type Place = readonly [declared: Readonly<Record<string, unknown>>, actual: Readonly<Record<string, unknown>>, what: string];

/** Items that mention a credential, or a moment or number that a signature may cover; the others a caller may override. */
function declaredPlaces({ entry, request }: Call): Place[] {
    const { headers = {}, query = {}, body = {} } = entry.proxy ?? {};
    const carrying = (items: Readonly<Record<string, unknown>>): [string, unknown][] =>
        Object.entries(items).filter(([, value]) =>
            namesIn(typeof value === 'string' ? value : JSON.stringify(value)).some((name) => isCredential(name) || /^(?:now|random)\b/.test(name)),
        );
    const places: Place[] = [
        [Object.fromEntries(carrying(headers).map(([name, value]) => [name.toLowerCase(), value])), request.headers, 'header'],
        [Object.fromEntries(carrying(query)), Object.fromEntries(request.url.searchParams), 'query parameter'],
    ];
    const hasBody = !['GET', 'HEAD'].includes(request.method);
    return hasBody && carrying(body).length > 0 ? [...places, [Object.fromEntries(carrying(body)), bodyParams(request), 'body parameter']] : places;
}

const isCredential = (name: string): boolean => /^(?:credentials\.|apiKey$|username$|password$|accessToken$|clientSecret$)/.test(name);

function bodyParams(request: TwinRequest): Record<string, unknown> {
    if (mediaTypeOf(request) === 'application/x-www-form-urlencoded') return formParams(request.body);
    try {
        return JSON.parse(request.body) as Record<string, unknown>;
    } catch {
        throw unauthorized('The body that should carry the credential is neither JSON nor a form.');
    }
}

/** A Basic header, where the entry declares no other place. The generic API has its place in the integration. */
function withImplied(call: Call, reading: Reading): Reading {
    const { request, entry } = call;
    const isDeclared = Object.keys(reading.bindings).some((name) => isCredential(name));
    const isSigned = reading.computed.length > 0;
    if (isDeclared || isSigned) return reading;
    if (entry.auth_mode === 'API_KEY') {
        const places =
            entry.integration_config === undefined ? [] : [request.headers['x-api-key'], request.url.searchParams.get('x-api-key') ?? undefined];
        const apiKey = places.find((value) => value !== undefined);
        if (apiKey === undefined) throw unauthorized('There is no key where this provider expects one.');
        return { ...reading, bindings: { ...reading.bindings, apiKey } };
    }
    const pair = basicPair(request);
    if (pair === undefined) throw unauthorized('There is no Basic header.');
    return { ...reading, bindings: { ...reading.bindings, username: pair.user, password: pair.password } };
}

/** What tells accounts apart, most telling first. */
const identifiers = [
    'client_id',
    'clientId',
    'username',
    'userName',
    'email',
    'appId',
    'accountId',
    'consumerId',
    'userId',
    'login',
    'appID',
    'APP_ID',
];

/** Typed credentials that a request was made with, and hashes over them. @throws Refusal */
export function assertTyped(call: Call, reading: Reading, refuse: (why: string) => Refusal = unauthorized): Reading {
    const { entry, world, request } = call;
    const signed = reading.computed.filter(({ expression }) => expression.startsWith('${awsSigV4('));
    const keyId = signed.length === 0 ? undefined : readSigV4(request).keyId;
    const values: Record<string, string> = { ...typedValues(reading.bindings), ...(keyId === undefined ? {} : { username: keyId }) };
    const id = identifiers.map((name) => values[name]).find((value) => value !== undefined);
    const presented = { id, secrets: values };
    world.credentials.check(entry, presented, refuse);
    if (keyId !== undefined) assertSigV4(request, world.credentials.secretOf(entry, keyId, 'password'), world.now());
    const others = { ...reading, computed: reading.computed.filter((item) => !signed.includes(item)) };
    assertComputed(others, { ...sampleBindings(call, values), ...requestBindings(call) }, refuse);
    world.credentials.accept(entry, presented, refuse);
    return reading;
}

/** Parts of the call that its signature may cover. */
function requestBindings({ request, entry, bindings }: Call): Bindings {
    const { url, method, body } = request;
    const strictly = (text: string): string =>
        encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
    const source = body === '' || method === 'GET' ? url.searchParams : new URLSearchParams(body);
    const params = [...source]
        .map(([name, value]) => `${strictly(name)}=${strictly(value)}`)
        .toSorted()
        .join('&');
    const base = (entry.proxy?.base_url ?? '').replace(/\$\{([^}]+)\}/g, (_, name: string) => bindings[name] ?? '');
    const basePath = URL.parse(base)?.pathname.replace(/\/$/, '') ?? '';
    const endpoint = `${url.pathname.slice(basePath.length)}${url.search}`;
    return { method, host: url.host, path: url.pathname, params, endpoint, bodyCanonicalParams: body };
}

function assertSessionSignature(call: Call): Grant {
    const { request, world, entry } = call;
    const { sessionToken } = readSigV4(request);
    const grant = world.grants.openAccess(entry.slug, requiredToken(sessionToken));
    assertSigV4(request, grant.memory['secret_access_key'], world.now());
    return grant;
}
