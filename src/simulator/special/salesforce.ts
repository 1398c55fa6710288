/** The Salesforce family: token answers name no lifetime, and an introspection endpoint is asked instead (RFC 7662). */
import { lookup } from '../api.ts';
import { readClient } from '../client-authentication.ts';
import { invalidRequest } from '../refusal.ts';
import { assertMethod, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from '../twin.ts';
import type { Special } from './special.ts';

export const salesforce: Special = (): Endpoint[] => [
    { kind: 'metadata', url: 'https://${connectionConfig.instanceHost}/services/oauth2/introspect', handle: introspect },
    lookup('https://${connectionConfig.instanceHost}/services/oauth2/userinfo', () =>
        json({ user_id: '005SIMULATED', organization_id: '00DSIMULATED' }),
    ),
];

async function introspect(call: Call): Promise<Answer> {
    const { entry, request, world } = call;
    assertMethod(request, 'POST');
    const params = readBody(request, 'form');
    const token = required(params, 'token');
    if (world.grants.slugOf(token) !== undefined && world.grants.slugOf(token) !== entry.slug)
        throw invalidRequest('The token is another provider’s.');
    await readClient(call, params, 'body');
    if (required(params, 'token_type_hint') !== 'access_token') throw invalidRequest('The "token_type_hint" must be access_token.');
    const left = world.grants.remaining(entry.slug, token);
    if (left === undefined) return json({ active: false });
    return json({ active: true, token_type: 'access_token', client_id: params['client_id'], exp: Math.floor(world.now() / 1000 + left) });
}
