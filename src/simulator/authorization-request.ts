/** An authorization request (RFC 6749 §4.1.1), checked for all that its entry says about it: names, order, joins, PKCE. */
import { assertConfigFits, readParams, startReading, textOf } from './declared-params.ts';
import type { Entry } from './entry.ts';
import { invalidRequest, Refusal } from './refusal.ts';
import type { Bindings } from './text-template.ts';
import type { Call } from './twin.ts';

/** Parameters of the twin's own: what was decided on its page, and a fragment that the page sent back as a query. */
export const decisionParam = '_decision';
export const fragmentParam = '_fragment';

export interface AuthorizationRequest {
    readonly clientId: string;
    readonly redirectUri: string;
    readonly state: string;
    readonly stateName: string;
    readonly scopes: readonly string[];
    readonly challenge: string | undefined;
    readonly resource: string | undefined;
    readonly params: Readonly<Record<string, string>>;
    readonly bindings: Bindings;
}

/** @throws Refusal */
export function readAuthorizationRequest(call: Call): AuthorizationRequest {
    const { entry, request } = call;
    const wire = wireNames(entry.authorization_url_replacements ?? {});
    const params = ownParams(request.url.search, entry);
    for (const [usualName, name] of Object.entries(wire)) {
        if (name !== usualName && params[usualName] !== undefined)
            throw invalidRequest(`The parameter is called "${name}" here, not "${usualName}".`);
    }
    const text = (name: keyof typeof wire): string => {
        const value = params[wire[name]!];
        if (value === undefined || value === '') throw invalidRequest(`The parameter "${wire[name]}" is missing.`);
        return value;
    };
    const clientId = text('client_id');
    const redirectUri = text('redirect_uri');
    if (!URL.canParse(redirectUri)) throw invalidRequest('The redirect URI is not absolute.');
    const state = text('state');
    const { response_type: responseType = 'code', ...declared } = entry.authorization_params ?? {};
    // An empty name: the entry cuts the parameter's name out of the address.
    if (wire['response_type'] !== '' && text('response_type') !== textOf(responseType)) {
        throw new Refusal(400, 'unsupported_response_type', `The response type must be "${textOf(responseType)}".`);
    }
    const reading = readParams(call, declared, params, startReading(call), { what: 'authorization parameter' });
    assertConfigFits(call, reading);
    call.world.credentials.check(entry, { id: clientId, secrets: {} });
    return {
        clientId,
        redirectUri,
        state,
        stateName: wire['state']!,
        scopes: scopesIn(params['scope'] ?? '', entry),
        challenge: challengeIn(params, entry.auth_mode === 'MCP_OAUTH2' || entry.disable_pkce !== true),
        resource: params['resource'],
        params,
        bindings: reading.bindings,
    };
}

/** Text swaps on the finished address, as far as they rename parameters. */
function wireNames(replacements: Readonly<Record<string, string>>): Record<string, string> {
    const names = ['response_type', 'client_id', 'redirect_uri', 'state'];
    return Object.fromEntries(
        names.map((name) => {
            const renamed = Object.entries(replacements).reduce((text, [from, to]) => text.replace(from, to), `${name}=`);
            return [name, renamed.replace(/=$/, '')];
        }),
    );
}

function ownParams(search: string, entry: Entry): Record<string, string> {
    const params: Record<string, string> = {};
    for (const [name, value] of new URLSearchParams(search)) {
        if (name === decisionParam || name === fragmentParam) continue;
        if (Object.hasOwn(params, name)) throw invalidRequest(`The parameter "${name}" is there twice.`);
        if (value === '' && entry.authorization_url_skip_empty)
            throw invalidRequest(`The parameter "${name}" is empty; empty ones are to be left out here.`);
        params[name] = value;
    }
    const [, rawScopes = ''] = /[?&]scope=([^&]*)/.exec(search) ?? [];
    if (entry.authorization_url_skip_encode?.includes('scopes') && /%2B|%20|%3A/i.test(rawScopes)) {
        throw invalidRequest('The scopes must stand in the address as they are, not percent-encoded.');
    }
    return params;
}

/** Scopes in one text, joined as this vendor wants them. */
function scopesIn(text: string, entry: Entry): string[] {
    const separator = entry.scope_separator ?? ' ';
    // A plus that stands in the address as it is reads as a space.
    const isRaw = separator === '+' && entry.authorization_url_skip_encode?.includes('scopes');
    const joiner = isRaw ? ' ' : separator;
    for (const other of [' ', ',']) {
        if (other !== joiner && text.includes(other)) throw new Refusal(400, 'invalid_scope', `Scopes are joined with "${separator}" here.`);
    }
    return text.split(joiner).filter((scope) => scope !== '');
}

/** S256 (RFC 7636 §4.3) or, where this vendor has no PKCE, nothing. */
function challengeIn(params: Readonly<Record<string, string>>, hasPkce: boolean): string | undefined {
    const challenge = params['code_challenge'];
    if (!hasPkce) {
        if (challenge !== undefined) throw invalidRequest('This provider knows no PKCE and refuses a "code_challenge".');
        return undefined;
    }
    if (challenge === undefined) throw invalidRequest('The parameter "code_challenge" is missing.');
    if (params['code_challenge_method'] !== 'S256') throw invalidRequest('The "code_challenge_method" must be S256.');
    if (!/^[A-Za-z0-9_-]{43}$/.test(challenge)) throw invalidRequest('The "code_challenge" is not a SHA-256 digest in base64url.');
    return challenge;
}
