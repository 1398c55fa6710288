/** Authorization endpoints: a consent page, and the way back to whoever asked (RFC 6749 §4.1.2). */
import { decisionParam, fragmentParam, readAuthorizationRequest, type AuthorizationRequest } from './authorization-request.ts';
import { authorizationPage, relayPage } from './pages/authorization-page.ts';
import { metadataValue } from './metadata-values.ts';
import { invalidRequest } from './refusal.ts';
import { assertMethod } from './twin-request.ts';
import type { Answer, Call, Endpoint } from './twin.ts';

export type Decision = 'approve' | 'deny' | undefined;

export const authorizeEndpoint = (url: string, special: Partial<AuthorizeHooks> = {}): Endpoint => ({
    kind: 'authorize',
    url,
    handle: (call) => authorize(call, { ...usual, ...special }),
});

/** What single providers do otherwise. */
export interface AuthorizeHooks {
    /** Callback parameters of a consent that was given. */
    approve(call: Call, request: AuthorizationRequest): Record<string, string>;
    /** What comes with both answers, besides the state. */
    always(call: Call): Record<string, string>;
}

const usual: AuthorizeHooks = {
    approve: (call, request) => ({ [call.entry.authorization_code_param_in_callback ?? 'code']: issueCode(call, request) }),
    always: () => ({}),
};

function authorize(call: Call, hooks: AuthorizeHooks): Answer {
    const { request, entry, world } = call;
    assertMethod(request, 'GET');
    const relay = relayedFragment(call);
    if (relay !== undefined) return relay;
    const asked = readAuthorizationRequest(call);
    const decision = decisionOf(call);
    if (decision === undefined) return authorizationPage(call, asked);

    const callback = new URL(asked.redirectUri);
    const fromProvider = Object.fromEntries((entry.redirect_uri_metadata ?? []).map((name) => [name, String(metadataValue(call, name))]));
    const params: Record<string, string> =
        decision === 'approve'
            ? { ...hooks.approve({ ...call, bindings: asked.bindings }, asked), ...fromProvider }
            : { error: 'access_denied', error_description: 'The person said no.' };
    for (const [name, value] of Object.entries({ ...params, ...hooks.always(call), [asked.stateName]: asked.state }))
        callback.searchParams.set(name, value);
    if (decision === 'approve') world.credentials.accept(entry, { id: asked.clientId, secrets: {} });
    return {
        status: 302,
        headers: { location: callback.href, 'cache-control': 'no-store' },
        body: '',
        note: decision === 'approve' ? 'approved' : 'denied',
    };
}

export function issueCode(call: Call, asked: AuthorizationRequest): string {
    const { clientId, redirectUri, scopes, challenge, resource, params } = asked;
    const memory: Record<string, string> = { ...params, ...(resource === undefined ? {} : { resource }) };
    return call.world.grants.issueCode({ slug: call.entry.slug, clientId, redirectUri, scopes, challenge, resource, memory });
}

export function decisionOf({ request, world, entry }: Call): Decision {
    const chosen = request.url.searchParams.get(decisionParam);
    if (world.isOn(entry.slug, 'deny')) return 'deny';
    return chosen === 'approve' || chosen === 'deny' ? chosen : world.isOn(entry.slug, 'auto_approve') ? 'approve' : undefined;
}

/** A browser keeps the fragment to itself: the page behind it sends it on as a query. */
function relayedFragment({ request, entry, world }: Call): Answer | undefined {
    const { authorization_url_fragment: fragment } = entry;
    if (fragment === undefined) return undefined;
    const arrived = request.url.searchParams.get(fragmentParam);
    if (arrived === null) return relayPage(fragmentParam, world.newId());
    if (arrived !== fragment) throw invalidRequest(`The address must have the fragment "#${fragment}" before its parameters.`);
    return undefined;
}
