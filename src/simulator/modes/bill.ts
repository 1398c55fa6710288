/** BILL: a session login with four inputs (auth-modes §11.2). */
import type { Entry } from '../entry.ts';
import { invalidRequest, unauthorized } from '../refusal.ts';
import { assertMethod, readBody } from '../twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from '../twin.ts';

const sessionSeconds = 35 * 60;
/** What the vendor calls them → what a person typed. */
const inputs = { username: 'username', password: 'password', organizationId: 'organization_id', devKey: 'dev_key' } as const;

export function bill(entry: Entry): Endpoint[] {
    return typeof entry.token_url === 'string' ? [{ kind: 'login step', url: entry.token_url, handle: login }] : [];
}

function login({ entry, request, world }: Call): Answer {
    assertMethod(request, 'POST');
    const params = readBody(request, 'json');
    const secrets: Record<string, string> = {};
    for (const [name, field] of Object.entries(inputs)) {
        const value = params[name];
        if (typeof value !== 'string' || value === '') throw invalidRequest(`The parameter "${name}" is missing.`);
        secrets[field] = value;
    }
    const unknown = Object.keys(params).filter((name) => !Object.hasOwn(inputs, name));
    if (unknown.length > 0) throw invalidRequest(`The parameter "${unknown[0]}" has no business here.`);
    world.credentials.accept(entry, { id: secrets['username'], secrets }, unauthorized);
    const grant = world.grants.begin({ slug: entry.slug, clientId: secrets['username']!, scopes: [], memory: {} });
    const sessionId = world.grants.issueAccess(grant, sessionSeconds);
    return json({ sessionId, organizationId: secrets['organization_id'], userId: '006TWIN' });
}
