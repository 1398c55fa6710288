/** Shopline: token calls are signed by HMAC over body and time; there is no refresh token, signing again is refreshing. */
import { tokenUrlOf } from '../entry.ts';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Grant } from '../grants.ts';
import { invalidClient, invalidRequest } from '../refusal.ts';
import { assertMethod, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call } from '../twin.ts';
import type { Special } from './special.ts';

const freshMs = 10 * 60_000;

export const shopline: Special = (entry) => [
    { kind: 'token', url: tokenUrlOf(entry), handle: create },
    { kind: 'refresh', url: entry.refresh_url ?? '', handle: refresh },
];

/** @returns the app that signed. @throws Refusal */
function assertSigned({ entry, request, world }: Call): string {
    assertMethod(request, 'POST');
    const { appkey, timestamp = '', sign = '' } = request.headers;
    if (!appkey) throw invalidClient('The header "appkey" is missing.');
    if (!/^\d{13}$/.test(timestamp)) throw invalidRequest('The header "timestamp" is not a number of milliseconds.');
    if (Math.abs(world.now() - Number(timestamp)) > freshMs) throw invalidRequest('The timestamp is too far from now.');
    if (!/^[0-9a-f]{64}$/.test(sign)) throw invalidClient('The header "sign" is not a SHA-256 HMAC in hex.');
    world.credentials.check(entry, { id: appkey, secrets: {} }, invalidClient);
    const secret = world.credentials.secretOf(entry, appkey, 'client_secret');
    const expected = secret && createHmac('sha256', secret).update(`${request.body}${timestamp}`).digest();
    if (expected && !timingSafeEqual(expected, Buffer.from(sign, 'hex'))) throw invalidClient('The signature is not the right one.');
    return appkey;
}

function create(call: Call): Answer {
    const { entry, request, world } = call;
    const app = assertSigned(call);
    const code = world.grants.openCode(entry.slug, required(readBody(request, 'json'), 'code'));
    if (code.clientId !== app) throw invalidClient('The code belongs to another app.');
    return token(call, world.grants.redeem(code, app));
}

function refresh(call: Call): Answer {
    const { entry, request, world } = call;
    const app = assertSigned(call);
    if (request.body !== '') throw invalidRequest('A refresh has an empty body.');
    return token(call, world.grants.begin({ slug: entry.slug, clientId: app, scopes: [], memory: {} }));
}

function token({ entry, world }: Call, grant: Grant): Answer {
    const lifetime = world.lifetimeOf(entry.slug);
    const expireTime = new Date(world.now() + lifetime * 1000).toISOString();
    return json({
        code: 200,
        message: 'success',
        data: { accessToken: world.grants.issueAccess(grant, lifetime), expireTime, scope: grant.scopes.join(',') },
    });
}
