/** workday-oauth, fanvue, followupboss, walmart, agiloft: a Basic header, each with something beside it. */
import { tokenUrlOf } from '../entry.ts';
import { invalidClient, invalidRequest } from '../refusal.ts';
import { forbidden, required } from '../twin-request.ts';
import type { Call } from '../twin.ts';
import type { Client } from '../client-authentication.ts';
import { codeOrRefresh, exchangeCode, exchangeRefreshToken, plainToken, type Params, type Special } from './special.ts';

/** Verifier, and no lifetime in the answer. */
export const workday: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: codeOrRefresh('form', {
            code: async (call) => plainToken(await exchangeCode(call, { format: 'form', client: 'basic' }), { isTimed: false }),
            refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: 'basic' }), { isTimed: false }),
        }),
    },
];

/** Nothing about the client in the body. */
export const fanvue: Special = (entry) => {
    const check = (_call: Call, params: Params): void => forbidden(params, 'client_id', 'client_secret');
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            handle: codeOrRefresh('form', {
                code: async (call) => plainToken(await exchangeCode(call, { format: 'form', client: 'basic', check })),
                refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: 'basic', check })),
            }),
        },
    ];
};

/** The state is repeated in the exchange. */
export const followUpBoss: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: codeOrRefresh('form', {
            code: async (call) =>
                plainToken(
                    await exchangeCode(call, {
                        format: 'form',
                        client: 'basic',
                        grantType: grantTypeOf(call),
                        check: (_call, params, memory) => {
                            if (required(params, 'state') !== memory['state'])
                                throw invalidRequest('The "state" is not the one of the authorization request.');
                        },
                    }),
                ),
            refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: 'basic' })),
        }),
    },
];

/** The vendor's name for it, or the usual one. */
const grantTypeOf = ({ request }: Call): string =>
    new URLSearchParams(request.body).get('grant_type') === 'auth_code' ? 'auth_code' : 'authorization_code';

/** Seller, service and correlation id travel as headers; the refresh token never changes. */
export const walmart: Special = (entry) => {
    const check = ({ request }: Call): void => {
        for (const name of ['wm_svc.name', 'wm_partner.id']) {
            if (!request.headers[name]) throw invalidRequest(`The header "${name}" is missing.`);
        }
        if (request.headers['wm_partner.id'] !== 'simulated-sellerId') throw invalidRequest('The seller is not the one of the callback.');
        if (!/^[0-9a-f-]{36}$/.test(request.headers['wm_qos.correlation_id'] ?? '')) throw invalidRequest('The correlation id is not a UUID.');
    };
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            handle: codeOrRefresh('form', {
                code: async (call) => plainToken(await exchangeCode(call, { format: 'form', client: 'basic', check })),
                refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: 'basic', check, token: 'kept' })),
            }),
        },
    ];
};

/** Header and client id; the refresh proves the secret by its first 20 characters, and the old refresh token lives on. */
export const agiloft: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: codeOrRefresh('form', {
            code: async (call) =>
                plainToken(
                    await exchangeCode(call, {
                        format: 'form',
                        client: 'basic',
                        verifier: 'optional',
                        check: (_call, params) => void required(params, 'client_id'),
                    }),
                ),
            refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: byPartOfSecret, token: 'kept' })),
        }),
    },
];

function byPartOfSecret({ entry, request, world }: Call, params: Params, clientId: string): Client {
    if (request.headers['authorization'] !== undefined) throw invalidClient('A refresh takes no Authorization header here.');
    forbidden(params, 'client_secret');
    const secret = world.credentials.secretOf(entry, clientId, 'client_secret');
    if (secret !== undefined && required(params, 'md5_secret') !== secret.slice(0, 20))
        throw invalidClient('The "md5_secret" is not the start of the secret.');
    return { id: clientId, secret: undefined };
}
