/** Sentry: the vendor starts, by an installation webhook that brings the code; answers are 201 and have names of their own. */
import { tokenUrlOf } from '../entry.ts';
import { createHmac } from 'node:crypto';
import { lookup } from '../api.ts';
import { invalidRequest, Refusal } from '../refusal.ts';
import type { Grant } from '../grants.ts';
import { issueTokens } from '../token-answer.ts';
import { acceptClient, readClient } from '../client-authentication.ts';
import { assertSameClient } from '../token-endpoint.ts';
import { assertMethod, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call, type World } from '../twin.ts';
import type { Special } from './special.ts';

export const sentry: Special = (entry) => [
    { kind: 'token', url: tokenUrlOf(entry), handle: authorize },
    lookup('https://${connectionConfig.hostname}/api/0/sentry-app-installations/${connectionConfig.installation.uuid}/', confirm),
];

/** The webhook that tells of an installation, as the vendor would send it. Delivering it is the caller's. */
export function installationWebhook(world: World, slug: string, actor: string, secret: string) {
    const { client_id: clientId } = world.samples.of(slug).integration;
    const uuid = world.newId();
    const code = world.grants.issueCode({
        slug,
        clientId: undefined,
        redirectUri: '',
        scopes: [],
        challenge: undefined,
        resource: undefined,
        memory: { uuid, app: clientId ?? '' },
    });
    const body = JSON.stringify({
        action: 'created',
        actor: { id: actor, name: 'Simulated', type: 'user' },
        data: {
            installation: { uuid, code, app: { slug: 'simulated', uuid: world.newId() }, organization: { slug: 'simulated' }, status: 'pending' },
        },
        installation: { uuid },
    });
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    return { headers: { 'content-type': 'application/json', 'sentry-hook-resource': 'installation', 'sentry-hook-signature': signature }, body };
}

async function authorize(call: Call): Promise<Answer> {
    const { entry, request, world, bindings } = call;
    assertMethod(request, 'POST');
    const params = readBody(request, 'json');
    const client = await readClient(call, params, 'body');
    if (params['refresh_token'] !== undefined) {
        if (required(params, 'grant_type') !== 'refresh_token')
            throw new Refusal(400, 'unsupported_grant_type', 'The grant type must be refresh_token.');
        const token = required(params, 'refresh_token');
        const grant = world.grants.openRefresh(entry.slug, token);
        assertSameClient(client, grant.clientId);
        return answer(call, grant, token);
    }
    if (required(params, 'grant_type') !== 'authorization_code')
        throw new Refusal(400, 'unsupported_grant_type', 'The grant type must be authorization_code.');
    const code = world.grants.openCode(entry.slug, required(params, 'code'));
    if (code.memory['uuid'] !== bindings['connectionConfig.installation.uuid']) throw invalidRequest('The code belongs to another installation.');
    acceptClient(call, client);
    return answer(call, world.grants.redeem(code, client.id));
}

function answer(call: Call, grant: Grant, presented?: string): Answer {
    const issued = issueTokens(call, grant, presented);
    const expiresAt = new Date(call.world.now() + (issued.lifetime ?? 3600) * 1000).toISOString();
    return json({ token: issued.access, refreshToken: issued.refresh, expiresAt, scopes: ['event:read', 'org:read'] }, 201);
}

function confirm({ request }: Call): Answer {
    assertMethod(request, 'PUT');
    if (readBody(request, 'json')['status'] !== 'installed') throw invalidRequest('The "status" must be installed.');
    return json({ status: 'installed' });
}
