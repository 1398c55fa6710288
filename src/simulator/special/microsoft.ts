/** Microsoft entries with a second token: the tenant's file host (one-drive, sharepoint-online), the bot framework; and admin consent. */
import { tokenUrlOf } from '../entry.ts';
import { authorizeEndpoint } from '../authorize.ts';
import { acceptClient, readClient } from '../client-authentication.ts';
import { invalidRequest, Refusal } from '../refusal.ts';
import { issueTokens, tokenAnswer } from '../token-answer.ts';
import { claimsOf, simulatedTenant } from '../token-claims.ts';
import { assertSameClient } from '../token-endpoint.ts';
import { assertMethod, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call } from '../twin.ts';
import type { Special } from './special.ts';

const tenantUrl = 'https://login.microsoftonline.com/${connectionConfig.tenantId}/oauth2/v2.0/token';

/** Refreshing for another resource: the scope names it, and the tenant is the one of the `tid` claim. */
export const sharePoint: Special = () => [{ kind: 'refresh', url: tenantUrl, handle: fileHostToken }];

async function fileHostToken(call: Call): Promise<Answer> {
    const { entry, request, world, bindings } = call;
    assertMethod(request, 'POST');
    const params = readBody(request, 'form');
    if (required(params, 'grant_type') !== 'refresh_token') throw new Refusal(400, 'unsupported_grant_type', 'The grant type must be refresh_token.');
    const token = required(params, 'refresh_token');
    const grant = world.grants.openRefresh(entry.slug, token);
    const client = await readClient(call, params, 'body');
    assertSameClient(client, grant.clientId);
    const tenant = bindings['connectionConfig.tenantId'];
    const { scope } = params;
    const isMain = typeof scope !== 'string' || !scope.includes('sharepoint.com');
    if (!isMain && scope !== `https://${tenant}.sharepoint.com/Sites.Read.All`) {
        throw new Refusal(400, 'invalid_scope', 'The scope must name the file host of this tenant.');
    }
    return tokenAnswer(call, grant, issueTokens(call, grant, token));
}

export const teamsBot: Special = () => [
    {
        kind: 'login step',
        url: tenantUrl.replace('tenantId', 'botHostTenantId'),
        handle: (call) => clientToken(call, 'https://api.botframework.com/.default'),
    },
];

/** Consent by an administrator: the callback names the tenant, and client credentials do the rest. */
export const adminConsent: Special = (entry) => [
    authorizeEndpoint(entry.authorization_url ?? '', {
        approve: ({ bindings }) => ({ tenant: bindings['connectionConfig.tenantId'] ?? simulatedTenant, admin_consent: 'True' }),
    }),
    { kind: 'token', url: tokenUrlOf(entry), handle: (call) => clientToken(call, undefined) },
];

/** @param scope the only one accepted; `undefined`: any, but one there must be */
async function clientToken(call: Call, scope: string | undefined): Promise<Answer> {
    const { entry, request, world } = call;
    assertMethod(request, 'POST');
    const params = readBody(request, 'form');
    if (required(params, 'grant_type') !== 'client_credentials') {
        throw new Refusal(400, 'unsupported_grant_type', 'The grant type must be client_credentials.');
    }
    const client = await readClient(call, params, 'body');
    const asked = required(params, 'scope');
    if (scope !== undefined && asked !== scope) throw new Refusal(400, 'invalid_scope', `The scope must be ${scope}.`);
    if (asked.includes('%')) throw invalidRequest('The scope is percent-encoded twice.');
    acceptClient(call, client);
    const grant = world.grants.begin({ slug: entry.slug, clientId: client.id, scopes: asked.split(' '), memory: {} });
    const lifetime = world.lifetimeOf(entry.slug);
    return json({ token_type: 'Bearer', access_token: world.grants.issueAccess(grant, lifetime, claimsOf(call, grant)), expires_in: lifetime });
}
