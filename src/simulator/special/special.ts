/** What the special twins have in common: reading a code or refresh token that arrives under its vendor's own rules. */
import { acceptClient, readClient, type Client, type ClientPlace } from '../client-authentication.ts';
import type { Entry } from '../entry.ts';
import type { Grant } from '../grants.ts';
import { invalidGrant, invalidRequest } from '../refusal.ts';
import { issueTokens, type Issued } from '../token-answer.ts';
import { assertSameClient, assertVerifier } from '../token-endpoint.ts';
import { assertMethod, readBody, required, type BodyFormat } from '../twin-request.ts';
import type { Answer, Call, Endpoint } from '../twin.ts';

/** Endpoints in place of the mode's own of the same kind. */
export type Special = (entry: Entry) => Endpoint[];

export type Params = Readonly<Record<string, unknown>>;

export interface Rules {
    readonly format: BodyFormat;
    /** Or a function that finds the client by itself. */
    readonly client: ClientPlace | ((call: Call, params: Params, clientId: string) => Client | Promise<Client>);
    /** What the code is called. Default `code`. */
    readonly code?: string;
    /** Default `authorization_code`; `null`: none is sent. */
    readonly grantType?: string | null;
    /** Where the redirect URI goes. Default `body`. */
    readonly redirectUri?: 'body' | 'query' | 'none';
    /** `required`: as usual. `optional`: vendors that ignore a challenge; a verifier that is sent must still fit. */
    readonly verifier?: 'required' | 'optional';
    /** Further checks. */
    readonly check?: (call: Call, params: Params, memory: Readonly<Record<string, string>>) => void;
}

export interface Granted {
    readonly grant: Grant;
    readonly client: Client;
    readonly issued: Issued;
    readonly params: Params;
}

/** @throws Refusal */
export async function exchangeCode(call: Call, rules: Rules): Promise<Granted> {
    const { entry, request, world } = call;
    assertMethod(request, 'POST');
    const params = readBody(request, rules.format);
    assertGrantType(params, rules.grantType === undefined ? 'authorization_code' : rules.grantType);
    const code = world.grants.openCode(entry.slug, required(params, rules.code ?? 'code'));
    const client = await clientOf(call, rules, params, code.clientId ?? '');
    assertSameClient(client, code.clientId);
    const place = rules.redirectUri ?? 'body';
    const redirectUri = place === 'query' ? request.url.searchParams.get('redirect_uri') : params['redirect_uri'];
    if (place !== 'none' && redirectUri !== code.redirectUri)
        throw invalidGrant(`The redirect URI in the ${place} is not the one of the authorization request.`);
    if (rules.verifier !== 'optional' || params['code_verifier'] !== undefined) assertVerifier(code, params);
    rules.check?.(call, params, code.memory);
    if (client.secret !== undefined) acceptClient(call, client);
    const grant = world.grants.redeem(code, client.id);
    return { grant, client, issued: issueTokens(call, grant), params };
}

export interface RefreshRules extends Pick<Rules, 'format' | 'client' | 'grantType' | 'check'> {
    /** What becomes of the refresh token. Default `rotated`. */
    readonly token?: 'rotated' | 'kept';
}

/** @throws Refusal */
export async function exchangeRefreshToken(call: Call, rules: RefreshRules): Promise<Granted> {
    const { entry, request, world } = call;
    assertMethod(request, 'POST');
    const params = readBody(request, rules.format);
    assertGrantType(params, rules.grantType === undefined ? 'refresh_token' : rules.grantType);
    const token = required(params, 'refresh_token');
    const grant = world.grants.openRefresh(entry.slug, token);
    const client = await clientOf(call, rules, params, grant.clientId);
    assertSameClient(client, grant.clientId);
    rules.check?.(call, params, grant.memory);
    if (rules.token !== 'kept') return { grant, client, issued: issueTokens(call, grant, token), params };
    const lifetime = world.lifetimeOf(entry.slug);
    return { grant, client, issued: { access: world.grants.issueAccess(grant, lifetime), refresh: undefined, lifetime }, params };
}

function assertGrantType(params: Params, expected: string | null): void {
    const actual = params['grant_type'];
    if (expected === null ? actual !== undefined : actual !== expected) {
        throw invalidRequest(expected === null ? 'The parameter "grant_type" has no business here.' : `The grant type must be ${expected}.`);
    }
}

const clientOf = async (call: Call, { client }: Pick<Rules, 'client'>, params: Params, clientId: string): Promise<Client> =>
    typeof client === 'string' ? readClient(call, params, client) : client(call, params, clientId);

export const isRefreshRequest = (call: Call, format: BodyFormat): boolean => {
    const params = readBody(call.request, format);
    return params['refresh_token'] !== undefined;
};

/** A token endpoint that does both. */
export const codeOrRefresh =
    (format: BodyFormat, handlers: { code: (call: Call) => Promise<Answer>; refresh: (call: Call) => Promise<Answer> }) =>
    (call: Call): Promise<Answer> => {
        assertMethod(call.request, 'POST');
        return isRefreshRequest(call, format) ? handlers.refresh(call) : handlers.code(call);
    };

/** In the names of RFC 6749 §5.1. */
export const plainToken = (
    { issued, grant }: Granted,
    { isTimed = true, extra = {} }: { isTimed?: boolean; extra?: Record<string, unknown> } = {},
): Answer => ({
    status: 200,
    headers: { 'cache-control': 'no-store' },
    body: {
        access_token: issued.access,
        token_type: 'Bearer',
        ...(isTimed && issued.lifetime !== undefined ? { expires_in: issued.lifetime } : {}),
        ...(issued.refresh === undefined ? {} : { refresh_token: issued.refresh }),
        ...(grant.scopes.length === 0 ? {} : { scope: grant.scopes.join(' ') }),
        ...extra,
    },
});
