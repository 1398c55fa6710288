/** facebook, instagram, threads: no refresh token; the access token itself is exchanged for a longer one. */
import { tokenUrlOf, type Entry } from '../entry.ts';
import type { Grant } from '../grants.ts';
import { invalidClient, Refusal } from '../refusal.ts';
import { assertMethod, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call } from '../twin.ts';
import { exchangeCode, type Special } from './special.ts';

const longSeconds = 60 * 24 * 3600;

/** Parameters in the JSON body, the redirect URI in the query as well; the exchange of tokens is all in the query. */
export const facebook: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: async (call) => {
            const query = Object.fromEntries(call.request.url.searchParams);
            if (query['grant_type'] === 'fb_exchange_token') return longerToken(call, query, 'fb_exchange_token', 'fb_exchange_token');
            const hasGrantType = readBody(call.request, 'json')['grant_type'] !== undefined;
            const { issued } = await exchangeCode(call, {
                format: 'json',
                client: 'body',
                grantType: hasGrantType ? 'authorization_code' : null,
                redirectUri: 'query',
                check: (_call, params, memory) => {
                    if (params['redirect_uri'] !== undefined && params['redirect_uri'] !== memory['redirect_uri']) {
                        throw new Refusal(400, 'invalid_grant', 'The redirect URI in the body is not the one of the authorization request.');
                    }
                },
            });
            return json({ access_token: issued.access, token_type: 'bearer', expires_in: issued.lifetime });
        },
    },
];

export const instagram: Special = (entry) => shortThenLong(entry, 'ig', 'https://graph.instagram.com/access_token');
export const threads: Special = (entry) => shortThenLong(entry, 'th', 'https://graph.threads.net/access_token');

function shortThenLong(entry: Entry, prefix: string, longUrl: string): ReturnType<Special> {
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            handle: async (call) => {
                const { issued } = await exchangeCode(call, { format: 'form', client: 'body', verifier: 'optional' });
                return json({ access_token: issued.access, user_id: 1000001 });
            },
        },
        {
            kind: 'login step',
            url: longUrl,
            handle: (call) => longerToken(call, Object.fromEntries(call.request.url.searchParams), `${prefix}_exchange_token`, 'access_token'),
        },
        {
            kind: 'refresh',
            url: entry.refresh_url ?? '',
            handle: (call) => longerToken(call, Object.fromEntries(call.request.url.searchParams), `${prefix}_refresh_token`, 'access_token'),
        },
    ];
}

function longerToken(call: Call, query: Record<string, string>, grantType: string, tokenName: string): Answer {
    const { entry, request, world } = call;
    assertMethod(request, 'GET', ...(tokenName === 'access_token' ? [] : ['POST']));
    if (required(query, 'grant_type') !== grantType) throw new Refusal(400, 'unsupported_grant_type', `The grant type must be ${grantType}.`);
    const grant = world.grants.openAccess(entry.slug, required(query, tokenName));
    if (grantType.endsWith('_exchange_token')) assertSecret(call, query, grant);
    const lifetime = Math.min(longSeconds, world.isOn(entry.slug, 'short_lived') ? world.lifetimeOf(entry.slug) : longSeconds);
    return json({ access_token: world.grants.issueAccess(grant, lifetime), token_type: 'bearer', expires_in: lifetime });
}

function assertSecret({ entry, world }: Call, query: Record<string, string>, grant: Grant): void {
    const client_secret = query['client_secret'];
    if (client_secret === undefined) throw invalidClient('The parameter "client_secret" is missing.');
    if (query['client_id'] !== undefined && query['client_id'] !== grant.clientId) throw invalidClient('The token belongs to another client.');
    world.credentials.check(entry, { id: grant.clientId, secrets: { client_secret } }, invalidClient);
}
