/** OAUTH2_CC: client credentials (RFC 6749 §4.4) in all the places and formats of auth-modes §5. */
import { acceptClient, declaredPlace, readClient } from '../client-authentication.ts';
import { assertConfigFits, readParams, startReading } from '../declared-params.ts';
import type { Entry } from '../entry.ts';
import { invalidRequest } from '../refusal.ts';
import { metadataValue } from '../metadata-values.ts';
import { claimsOf } from '../token-claims.ts';
import { setPath } from '../token-answer.ts';
import { assertMethod, readBody, type BodyFormat } from '../twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from '../twin.ts';

export function oauth2ClientCredentials(entry: Entry): Endpoint[] {
    return typeof entry.token_url === 'string' ? [{ kind: 'login step', url: entry.token_url, handle: grantToken }] : [];
}

export async function grantToken(call: Call): Promise<Answer> {
    const { entry, request, world } = call;
    assertMethod(request, 'POST');
    const params = readBody(request, (entry.body_format as BodyFormat | undefined) ?? 'form');
    const client = await readClient(call, params, declaredPlace(entry));
    // Greenhouse says it in the URL.
    const declared = entry.token_params ?? {};
    const reading = readParams(call, declared, params, startReading(call));
    assertConfigFits(call, reading);
    const scope = params['scope'];
    if (scope === '') throw invalidRequest('The parameter "scope" is empty; without scopes it is to be left out.');
    const scopes = typeof scope === 'string' ? scope.split(entry.scope_separator ?? ' ') : [];
    acceptClient(call, client);

    const grant = world.grants.begin({ slug: entry.slug, clientId: client.id, scopes, memory: {} });
    const read = { ...call, bindings: reading.bindings };
    const lifetime = world.lifetimeOf(entry.slug);
    const access = world.grants.issueAccess(grant, lifetime, claimsOf(read, grant));
    const body: Record<string, unknown> = {
        ...tokenUnderItsName(entry.slug, access),
        token_type: 'Bearer',
        ...expiryOf(entry, lifetime),
        ...(scopes.length === 0 ? {} : { scope: scopes.join(entry.scope_separator ?? ' ') }),
    };
    for (const name of entry.token_response_metadata ?? []) setPath(body, name, metadataValue(read, name));
    return json(body);
}

/** Where the contract knows other names than `access_token` (auth-modes §5). */
function tokenUnderItsName(slug: string, token: string): Record<string, unknown> {
    if (slug === 'personio') return { success: true, data: { token } };
    if (slug === 'zoominfo') return { jwt: token };
    return { access_token: token };
}

function expiryOf({ slug, expires_in_unit }: Entry, lifetime: number): Record<string, unknown> {
    // Silent about it, so that Valetkey has to assume something.
    if (slug.startsWith('salesforce') || slug === 'personio' || slug === 'zoominfo') return {};
    return { expires_in: expires_in_unit === 'milliseconds' ? lifetime * 1000 : lifetime };
}
