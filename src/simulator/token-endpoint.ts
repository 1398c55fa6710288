/** Token, refresh and revocation endpoints of OAuth 2.0 (RFC 6749 §4.1.3 and §6, RFC 7636 §4.6, RFC 7009). */
import { createHash } from 'node:crypto';
import { acceptClient, declaredPlace, readClient, type Client, type ClientPlace } from './client-authentication.ts';
import { assertConfigFits, readParams, startReading, textOf } from './declared-params.ts';
import type { Code } from './grants.ts';
import { invalidClient, invalidGrant, invalidRequest, Refusal } from './refusal.ts';
import { issueTokens, tokenAnswer } from './token-answer.ts';
import { assertMethod, forbidden, readBody, required, type BodyFormat } from './twin-request.ts';
import type { Answer, Call, Endpoint } from './twin.ts';

type Params = Readonly<Record<string, unknown>>;

export interface TokenRules {
    readonly place: ClientPlace;
    readonly format: BodyFormat;
    readonly hasPkce: boolean;
}

/** `tokenUrl`: a template. */
export function tokenEndpoints(entry: Call['entry'], tokenUrl: string): Endpoint[] {
    const endpoints: Endpoint[] = [{ kind: 'token', url: tokenUrl, handle: exchangeOrRefresh }];
    if (entry.refresh_url !== undefined && entry.refresh_url !== tokenUrl)
        endpoints.push({ kind: 'refresh', url: entry.refresh_url, handle: refreshOnly });
    if (entry.revocation_url !== undefined) endpoints.push({ kind: 'revoke', url: entry.revocation_url, handle: revoke });
    return endpoints;
}

export function rulesOf(call: Call, clientId?: string): TokenRules {
    const { entry, world } = call;
    const isMcp = entry.auth_mode === 'MCP_OAUTH2';
    return {
        place: isMcp && clientId !== undefined && world.grants.isPublicClient(entry.slug, clientId) ? 'public' : declaredPlace(entry),
        format: entry.body_format === 'json' ? 'json' : 'form',
        hasPkce: isMcp || entry.disable_pkce !== true,
    };
}

async function exchangeOrRefresh(call: Call): Promise<Answer> {
    assertMethod(call.request, 'POST');
    const params = readBody(call.request, rulesOf(call).format);
    if (isRefresh(call, params)) return refresh(call, params);
    return exchange(call, params);
}

function isRefresh({ entry }: Call, params: Params): boolean {
    const declared = textOf(entry.refresh_params?.['grant_type'] ?? 'refresh_token');
    return params['grant_type'] === declared && params['refresh_token'] !== undefined;
}

async function refreshOnly(call: Call): Promise<Answer> {
    assertMethod(call.request, 'POST');
    const params = readBody(call.request, rulesOf(call).format);
    if (!isRefresh(call, params)) throw new Refusal(400, 'unsupported_grant_type', 'This endpoint refreshes tokens and does nothing else.');
    return refresh(call, params);
}

async function exchange(call: Call, params: Params): Promise<Answer> {
    const { entry, world } = call;
    const grantType = textOf(entry.token_params?.['grant_type'] ?? 'authorization_code');
    if (required(params, 'grant_type') !== grantType) {
        throw new Refusal(400, 'unsupported_grant_type', `The grant type must be ${grantType}, or a refresh token must be there.`);
    }
    const code = world.grants.openCode(entry.slug, required(params, 'code'));
    const client = await readClient(call, params, rulesOf(call, code.clientId).place);
    assertSameClient(client, code.clientId);
    // A code that came with an installation belongs to no authorization request (RFC 6749 §4.1.3), and need not name its address.
    const redirectUri = code.isInstallation ? (params['redirect_uri'] ?? code.redirectUri) : required(params, 'redirect_uri');
    if (redirectUri !== code.redirectUri) throw invalidGrant('The redirect URI is not the one of the authorization request.');
    assertVerifier(code, params);
    assertResource(code, params);
    forbidden(params, 'refresh_token', 'state');
    const reading = readParams(call, entry.token_params ?? {}, params, startReading(call));
    assertConfigFits(call, reading);

    acceptClient(call, client);
    const grant = world.grants.redeem(code, client.id);
    const read = { ...call, bindings: reading.bindings };
    return tokenAnswer(read, grant, issueTokens(read, grant));
}

async function refresh(call: Call, params: Params): Promise<Answer> {
    const { entry, world } = call;
    const token = required(params, 'refresh_token');
    const grant = world.grants.openRefresh(entry.slug, token);
    const client = await readClient(call, params, rulesOf(call, grant.clientId).place);
    assertSameClient(client, grant.clientId);
    forbidden(params, 'code', 'code_verifier', 'redirect_uri');
    assertResource({ resource: grant.memory['resource'] }, params);
    const reading = readParams(call, entry.refresh_params ?? {}, params, startReading(call));
    assertConfigFits(call, reading);
    const read = { ...call, bindings: reading.bindings };
    return tokenAnswer(read, grant, issueTokens(read, grant, token));
}

async function revoke(call: Call): Promise<Answer> {
    assertMethod(call.request, 'POST');
    const params = readBody(call.request, 'form');
    call.world.grants.revoke(call.entry.slug, required(params, 'token'));
    return { status: 200, body: '' };
}

export function assertSameClient({ id }: Client, expected: string | undefined): void {
    if (expected !== undefined && id !== expected) throw invalidClient('The code or token belongs to another client.');
}

/** S256; and no verifier where no challenge was (RFC 9700 §2.1.1). */
export function assertVerifier({ challenge }: Pick<Code, 'challenge'>, params: Params): void {
    if (challenge === undefined) {
        if (params['code_verifier'] !== undefined)
            throw invalidRequest('There is a "code_verifier", but the authorization request had no challenge.');
        return;
    }
    const verifier = required(params, 'code_verifier');
    if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier))
        throw invalidRequest('The "code_verifier" must be 43 to 128 unreserved characters (RFC 7636 §4.1).');
    if (createHash('sha256').update(verifier).digest('base64url') !== challenge)
        throw invalidGrant('The "code_verifier" does not fit the challenge.');
}

/** RFC 8707 §2.2: the same resource as was authorized. */
function assertResource({ resource }: Pick<Code, 'resource'>, params: Params): void {
    if (resource !== undefined && params['resource'] !== resource) {
        throw new Refusal(400, 'invalid_target', 'The "resource" must be the one of the authorization request (RFC 8707).');
    }
}
