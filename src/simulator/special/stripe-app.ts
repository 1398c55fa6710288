/** stripe-app, stripe-app-sandbox: the secret is the Basic user, the password empty, the client id nowhere; no lifetime is named. */
import { tokenUrlOf } from '../entry.ts';
import { invalidClient } from '../refusal.ts';
import { basicPair, forbidden } from '../twin-request.ts';
import type { Client } from '../client-authentication.ts';
import type { Call } from '../twin.ts';
import { codeOrRefresh, exchangeCode, exchangeRefreshToken, plainToken, type Params, type Special } from './special.ts';

export const stripeApp: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: codeOrRefresh('form', {
            code: async (call) =>
                plainToken(await exchangeCode(call, { format: 'form', client: bySecret, redirectUri: 'none' }), {
                    isTimed: false,
                    extra: { livemode: false },
                }),
            refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: bySecret }), { isTimed: false }),
        }),
    },
];

function bySecret({ entry, request, world }: Call, params: Params, clientId: string): Client {
    const pair = basicPair(request);
    if (pair === undefined || pair.user === '') throw invalidClient('The Authorization header must be Basic, with the secret as user.');
    if (pair.password !== '') throw invalidClient('The password in the Basic header must be empty.');
    forbidden(params, 'client_id', 'client_secret');
    const secret = decodeURIComponent(pair.user);
    world.credentials.check(entry, { id: clientId, secrets: { client_secret: secret } }, invalidClient);
    return { id: clientId, secret };
}
