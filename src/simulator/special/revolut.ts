/** Revolut: the integration's secret is a private key; every token call carries an assertion signed with it. */
import { tokenUrlOf } from '../entry.ts';
import { assertAssertion } from '../assertions.ts';
import { acceptClient, type Client } from '../client-authentication.ts';
import { invalidClient } from '../refusal.ts';
import { required } from '../twin-request.ts';
import type { Call } from '../twin.ts';
import { codeOrRefresh, exchangeCode, exchangeRefreshToken, plainToken, type Params, type Special } from './special.ts';

export const revolut: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: codeOrRefresh('form', {
            code: async (call) => plainToken(await exchangeCode(call, { format: 'form', client: byAssertion, redirectUri: 'none' })),
            refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: byAssertion, token: 'kept' })),
        }),
    },
];

async function byAssertion(call: Call, params: Params, clientId: string): Promise<Client> {
    const { world, request } = call;
    if (request.headers['authorization'] !== undefined)
        throw invalidClient('There is an Authorization header, but this provider takes an assertion.');
    if (params['client_secret'] !== undefined) throw invalidClient('The private key must never be sent.');
    if (params['client_id'] !== undefined && params['client_id'] !== clientId) throw invalidClient('The code or token belongs to another client.');
    if (params['client_assertion_type'] !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') {
        throw invalidClient('The parameter "client_assertion_type" must be the one of JWT assertions.');
    }
    const { claims } = await assertAssertion(call, required(params, 'client_assertion'), {
        algorithms: ['RS256'],
        subject: clientId,
        audience: 'https://revolut.com',
        longestSeconds: 300,
        keyOf: clientId,
    });
    const { host, hostname } = new URL(world.valetkeyUrl);
    if (claims.iss !== host && claims.iss !== hostname) throw invalidClient('The claim "iss" must be the host of the callback.');
    acceptClient(call, { id: clientId, secret: undefined });
    return { id: clientId, secret: undefined };
}
