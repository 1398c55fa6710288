/** OAUTH1: temporary credentials, consent, token credentials (RFC 5849 §2), every request signed. */
import { consumerSecretOf } from '../caller-oauth1.ts';
import { decisionOf } from '../authorize.ts';
import { readParams, startReading } from '../declared-params.ts';
import type { Entry } from '../entry.ts';
import { assertOAuth1Form, isSignedBy, readOAuth1Header } from '../oauth1-signature.ts';
import { consentPage } from '../pages/authorization-page.ts';
import { html } from '../pages/html.ts';
import { invalidRequest, unauthorized } from '../refusal.ts';
import { assertMethod, formParams, required } from '../twin-request.ts';
import type { Answer, Call, Endpoint } from '../twin.ts';

export function oauth1(entry: Entry): Endpoint[] {
    const temporary = new Map<string, Temporary>();
    return [
        ...(entry.request_url === undefined ? [] : [endpoint('request token', entry.request_url, requestToken)]),
        ...(entry.authorization_url === undefined ? [] : [endpoint('authorize', entry.authorization_url, authorize)]),
        ...(typeof entry.token_url === 'string' ? [endpoint('token', entry.token_url, accessToken)] : []),
    ];

    function endpoint(kind: Endpoint['kind'], url: string, handle: (call: Call, temporary: Map<string, Temporary>) => Answer): Endpoint {
        return { kind, url, handle: (call) => handle(call, temporary) };
    }
}

interface Temporary {
    readonly secret: string;
    readonly consumer: string;
    readonly callback: string;
    verifier: string | undefined;
}

const form = (params: Record<string, string>): Answer => ({
    status: 200,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(params).toString(),
});

/** The signed parameters, by whichever token secret. */
function signedParams(call: Call, tokenSecret: string): Readonly<Record<string, string>> {
    const { entry, request, world } = call;
    assertMethod(request, 'POST');
    const header = readOAuth1Header(request);
    assertOAuth1Form(header, entry.signature_method ?? 'HMAC-SHA1', world.now());
    const { params } = header;
    world.credentials.check(entry, { id: params['oauth_consumer_key'], secrets: {} });
    const consumer = consumerSecretOf(call, params['oauth_consumer_key']!);
    if (consumer !== undefined && !isSignedBy(request, params, { consumer, token: tokenSecret }))
        throw unauthorized('The signature is not the right one.');
    return params;
}

function requestToken(call: Call, temporary: Map<string, Temporary>): Answer {
    const { entry, request, world } = call;
    const params = signedParams(call, '');
    if (params['oauth_token'] !== undefined) throw unauthorized('There is no token yet, so none can be named.');
    const callback = required(params, 'oauth_callback');
    if (!URL.canParse(callback)) throw invalidRequest('The "oauth_callback" is not an absolute URL.');
    const extra = { ...Object.fromEntries(request.url.searchParams), ...formParams(request.body), ...params };
    readParams(call, entry.request_params ?? {}, extra, startReading(call));
    const [token, secret] = [world.grants.secret('temporary'), world.grants.secret('secret')];
    temporary.set(token, { secret, consumer: params['oauth_consumer_key']!, callback, verifier: undefined });
    return form({ oauth_token: token, oauth_token_secret: secret, oauth_callback_confirmed: 'true' });
}

function authorize(call: Call, temporary: Map<string, Temporary>): Answer {
    const { entry, request, world } = call;
    assertMethod(request, 'GET');
    const params = Object.fromEntries(request.url.searchParams);
    const token = required(params, 'oauth_token');
    const known = temporary.get(token);
    if (known === undefined) throw invalidRequest('The "oauth_token" is not one that this provider gave out.');
    readParams(call, entry.authorization_params ?? {}, params, startReading(call), { what: 'authorization parameter' });
    const decision = decisionOf(call);
    if (decision === undefined) {
        const scopes = (params['scope'] ?? '').split(entry.scope_separator ?? ' ').filter((scope) => scope !== '');
        return consentPage(call, {
            question: html`Connect your ${entry.display_name} account?`,
            detail: html`<dl>
                <dt>App</dt>
                <dd><code>${known.consumer}</code></dd>
                <dt>Scopes</dt>
                <dd>${scopes.join(', ') || 'none'}</dd>
                <dt>Protocol</dt>
                <dd>OAuth 1.0a</dd>
            </dl>`,
        });
    }
    const callback = new URL(known.callback);
    if (decision === 'approve') {
        known.verifier = world.grants.secret('verifier');
        callback.searchParams.set('oauth_token', token);
        callback.searchParams.set('oauth_verifier', known.verifier);
    } else {
        temporary.delete(token);
        callback.searchParams.set('denied', token);
    }
    return { status: 302, headers: { location: callback.href, 'cache-control': 'no-store' }, body: '' };
}

function accessToken(call: Call, temporary: Map<string, Temporary>): Answer {
    const { entry, request, world } = call;
    const { params: named } = readOAuth1Header(request);
    const token = named['oauth_token'] ?? '';
    const known = temporary.get(token);
    if (known === undefined) throw unauthorized('The "oauth_token" is not one that this provider gave out, or was used before.');
    const params = { ...formParams(request.body), ...signedParams(call, known.secret) };
    if (params['oauth_consumer_key'] !== known.consumer) throw unauthorized('The temporary token belongs to another consumer.');
    if (known.verifier === undefined || params['oauth_verifier'] !== known.verifier) throw unauthorized('The "oauth_verifier" is not the right one.');
    readParams(call, entry.token_params ?? {}, params, startReading(call));
    temporary.delete(token);
    const secret = world.grants.secret('secret');
    const grant = world.grants.begin({ slug: entry.slug, clientId: known.consumer, scopes: [], memory: { token_secret: secret } });
    const access = world.grants.issueAccess(grant, undefined);
    return form({ oauth_token: access, oauth_token_secret: secret, user_id: '1000001', screen_name: 'simulated' });
}
