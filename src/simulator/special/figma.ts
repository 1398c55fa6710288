/** figma, figjam: JSON bodies, the redirect URI in the query; refresh answers hold no refresh token. */
import { tokenUrlOf } from '../entry.ts';
import { readClient, type Client } from '../client-authentication.ts';
import { basicPair } from '../twin-request.ts';
import type { Call } from '../twin.ts';
import { exchangeCode, exchangeRefreshToken, plainToken, type Params, type Special } from './special.ts';

export const figma: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: async (call) => {
            const hasGrantType = call.request.body.includes('"grant_type"');
            return plainToken(
                await exchangeCode(call, {
                    format: 'json',
                    client: eitherPlace,
                    redirectUri: 'query',
                    grantType: hasGrantType ? 'authorization_code' : null,
                }),
            );
        },
    },
    {
        kind: 'refresh',
        url: entry.refresh_url ?? '',
        handle: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'json', client: eitherPlace, grantType: null, token: 'kept' })),
    },
];

/** The vendor takes the client in a Basic header or in the body; in both at once it does not. */
const eitherPlace = (call: Call, params: Params): Promise<Client> =>
    readClient(call, params, basicPair(call.request) === undefined ? 'body' : 'basic');
