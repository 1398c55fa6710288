/** Bullhorn: every parameter in the query; the OAuth token buys a session at a REST login, and the session is what the API takes. */
import { tokenUrlOf } from '../entry.ts';
import { invalidRequest } from '../refusal.ts';
import { assertMethod, required } from '../twin-request.ts';
import { json, type Answer, type Call } from '../twin.ts';
import { codeOrRefresh, exchangeCode, exchangeRefreshToken, plainToken, type Special } from './special.ts';

const loginUrl = 'https://rest-west.bullhornstaffing.com/rest-services/login';

export const bullhorn: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: codeOrRefresh('query', {
            code: async (call) => plainToken(await exchangeCode(call, { format: 'query', client: 'body', redirectUri: 'none' })),
            refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'query', client: 'body' })),
        }),
    },
    { kind: 'login step', url: loginUrl, handle: login },
];

function login({ entry, request, world }: Call): Answer {
    assertMethod(request, 'POST', 'GET');
    const query = Object.fromEntries(request.url.searchParams);
    if (required(query, 'version') !== '*') throw invalidRequest('The "version" must be an asterisk.');
    const minutes = Number(required(query, 'ttl'));
    if (!Number.isInteger(minutes) || minutes < 1 || minutes > 10_080) throw invalidRequest('The "ttl" must be a number of minutes up to a week.');
    const grant = world.grants.openAccess(entry.slug, required(query, 'access_token'));
    const seconds = world.isOn(entry.slug, 'short_lived') ? world.lifetimeOf(entry.slug) : minutes * 60;
    return json({
        BhRestToken: world.grants.issueAccess(grant, seconds),
        restUrl: `https://acme-${entry.slug}.bullhornstaffing.com/rest-services/1/`,
    });
}
