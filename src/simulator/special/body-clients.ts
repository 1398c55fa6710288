/** jobber, absorb-lms, clover, coros, braintree, tiktok-…: the client in the body, under the vendor's own names and in its own shapes. */
import { tokenUrlOf } from '../entry.ts';
import { invalidClient, invalidRequest, type Refusal } from '../refusal.ts';
import { forbidden, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call } from '../twin.ts';
import type { Client } from '../client-authentication.ts';
import { metadataValue } from '../metadata-values.ts';
import { codeOrRefresh, exchangeCode, exchangeRefreshToken, plainToken, type Granted, type Params, type Special } from './special.ts';

/** No redirect URI in the exchange, no lifetime in the answer. */
export const jobber: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        handle: codeOrRefresh('form', {
            code: async (call) => plainToken(await exchangeCode(call, { format: 'form', client: 'body', redirectUri: 'none' }), { isTimed: false }),
            refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: 'body' }), { isTimed: false }),
        }),
    },
];

/** Key and version of the connection as headers, a nonce, and the scopes again on refresh. */
export const absorb: Special = (entry) => {
    const check = ({ request }: Call, params: Params): void => {
        for (const name of ['x-api-key', 'x-api-version']) {
            if (!request.headers[name]) throw invalidRequest(`The header "${name}" is missing.`);
        }
        if (!/^[0-9a-f-]{36}$/.test(required(params, 'nonce'))) throw invalidRequest('The "nonce" is not a UUID.');
    };
    const checkRefresh = (call: Call, params: Params, memory: Readonly<Record<string, string>>): void => {
        check(call, params);
        if ((memory['scope'] ?? '') !== '' && params['scope'] !== memory['scope'])
            throw invalidRequest('The scopes must be repeated as they were asked for.');
    };
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            handle: codeOrRefresh('form', {
                code: async (call) => plainToken(await exchangeCode(call, { format: 'form', client: 'body', check })),
                refresh: async (call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client: 'body', check: checkRefresh })),
            }),
        },
    ];
};

/** JSON without a grant type; expiry is a moment; a refresh proves nothing but the client id. */
export const clover: Special = (entry) => {
    const answer = ({ issued }: Granted, { world }: Call): Answer => {
        const now = Math.floor(world.now() / 1000);
        return json({
            access_token: issued.access,
            access_token_expiration: now + (issued.lifetime ?? 0),
            refresh_token: issued.refresh,
            refresh_token_expiration: now + 365 * 24 * 3600,
        });
    };
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            handle: async (call) => answer(await exchangeCode(call, { format: 'json', client: 'body', grantType: null, redirectUri: 'none' }), call),
        },
        {
            kind: 'refresh',
            url: entry.refresh_url ?? '',
            handle: async (call) => answer(await exchangeRefreshToken(call, { format: 'json', client: 'public', grantType: null }), call),
        },
    ];
};

/** A refresh prolongs the same token by 30 days; success and failure are both 200. */
export const coros: Special = (entry) => {
    const seconds = 30 * 24 * 3600;
    const refuse = ({ message }: Refusal): Answer => ({ ...json({ result: '5001', message: 'failed' }), note: message });
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            refuse,
            handle: async (call) => {
                const { grant, issued } = await exchangeCode(call, { format: 'form', client: 'body', verifier: 'optional' });
                call.world.grants.prolong(grant, seconds);
                return json({
                    access_token: issued.access,
                    refresh_token: issued.refresh,
                    expires_in: seconds,
                    openId: metadataValue(call, 'openId'),
                });
            },
        },
        {
            kind: 'refresh',
            url: entry.refresh_url ?? '',
            refuse,
            handle: async (call) => {
                const { grant } = await exchangeRefreshToken(call, { format: 'form', client: 'body', token: 'kept' });
                call.world.grants.prolong(grant, seconds);
                return json({ result: '0000', message: 'OK' });
            },
        },
    ];
};

/** A gateway that wraps everything in a `credentials` object, both ways. */
export const braintree: Special = (entry) => {
    const unwrapped = (call: Call): Call => {
        const { credentials } = JSON.parse(call.request.body || '{}') as { credentials?: unknown };
        if (typeof credentials !== 'object' || credentials === null) throw invalidRequest('The body must have a "credentials" object.');
        return { ...call, request: { ...call.request, body: JSON.stringify(credentials) } };
    };
    const answer = ({ issued, grant }: Granted, { world }: Call): Answer => {
        const expiresAt = new Date(world.now() + (issued.lifetime ?? 3600) * 1000).toISOString();
        return json({
            credentials: { accessToken: issued.access, refreshToken: issued.refresh, expiresAt, tokenType: 'bearer', scope: grant.scopes.join(',') },
        });
    };
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            handle: (wrapped) =>
                codeOrRefresh('json', {
                    code: async (call) =>
                        answer(await exchangeCode(call, { format: 'json', client: 'basic', redirectUri: 'none', verifier: 'optional' }), call),
                    refresh: async (call) => answer(await exchangeRefreshToken(call, { format: 'json', client: 'basic' }), call),
                })(unwrapped(wrapped)),
        },
    ];
};

const inData = (data: unknown): Answer => json({ code: 0, message: 'OK', request_id: 'simulated', data });
const tikTokError = ({ code, message }: Refusal): Answer => ({ ...json({ code: 40002, message: code, data: {} }), note: message });

/** `app_id`, `secret` and `auth_code`; never refreshed. */
export const tikTokAds: Special = (entry) => [
    {
        kind: 'token',
        url: tokenUrlOf(entry),
        refuse: tikTokError,
        handle: async (call) => {
            const hasGrantType = readBody(call.request, 'json')['grant_type'] !== undefined;
            const { issued } = await exchangeCode(call, {
                format: 'json',
                client: named('app_id', 'secret'),
                code: 'auth_code',
                grantType: hasGrantType ? 'authorization_code' : null,
                redirectUri: 'none',
                verifier: 'optional',
            });
            return inData({ access_token: issued.access, advertiser_ids: ['7000000000000000001'], scope: [4] });
        },
    },
];

export const tikTokAccounts: Special = (entry) => {
    const answer = ({ issued, grant }: Granted): Answer =>
        inData({
            access_token: issued.access,
            refresh_token: issued.refresh,
            expires_in: issued.lifetime,
            refresh_token_expires_in: 31_536_000,
            open_id: 'simulated',
            scope: grant.scopes.join(','),
        });
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            refuse: tikTokError,
            handle: async (call) => answer(await exchangeCode(call, { format: 'json', client: 'body', code: 'auth_code', verifier: 'optional' })),
        },
        {
            kind: 'refresh',
            url: entry.refresh_url ?? '',
            refuse: tikTokError,
            handle: async (call) => answer(await exchangeRefreshToken(call, { format: 'json', client: 'body' })),
        },
    ];
};

/** `client_key` in place of `client_id`, on every call. */
export const tikTokPersonal: Special = (entry) => {
    const client = named('client_key', 'client_secret');
    return [
        {
            kind: 'token',
            url: tokenUrlOf(entry),
            handle: codeOrRefresh('form', {
                code: async (call) =>
                    plainToken(await exchangeCode(call, { format: 'form', client, verifier: 'optional' }), { extra: { open_id: 'simulated' } }),
                refresh: async (call) =>
                    plainToken(await exchangeRefreshToken(call, { format: 'form', client }), { extra: { open_id: 'simulated' } }),
            }),
        },
    ];
};

/** A client under other names than the usual ones, which must then be absent. */
const named =
    (idName: string, secretName: string) =>
    ({ entry, request, world }: Call, params: Params): Client => {
        if (request.headers['authorization'] !== undefined) throw invalidClient('This provider takes the client in the body, not in a header.');
        forbidden(params, 'client_id', ...(secretName === 'client_secret' ? [] : ['client_secret']));
        const [id, secret] = [params[idName], params[secretName]];
        if (typeof id !== 'string' || typeof secret !== 'string') throw invalidClient(`The parameter "${idName}" or "${secretName}" is missing.`);
        world.credentials.check(entry, { id, secrets: { client_secret: secret } }, invalidClient);
        return { id, secret };
    };
