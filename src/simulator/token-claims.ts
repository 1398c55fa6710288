/** Access tokens that their readers look into: JWTs whose claims hooks take ids from. All others are opaque. */
import { createHmac } from 'node:crypto';
import type { Grant } from './grants.ts';
import type { Call } from './twin.ts';

export const simulatedTenant = '11111111-2222-4333-8444-555555555555';

export const microsoft = /^(?:microsoft|one-drive|one-note|outlook|sharepoint-online|azure|nerdio|immybot)/;

/** `undefined`: an opaque token. */
export function claimsOf({ entry, world, bindings }: Call, grant: Grant): string | undefined {
    const claims = microsoft.test(entry.slug)
        ? { tid: bindings['connectionConfig.tenantId'] ?? simulatedTenant, aud: 'https://graph.microsoft.com' }
        : entry.slug === 'xero'
          ? { authentication_event_id: grant.memory['event'] ?? 'event-of-xero' }
          : entry.slug.startsWith('sellsy')
            ? { corpid: '10001' }
            : undefined;
    return claims && jwt({ ...claims, sub: grant.id, jti: world.newId(), iat: Math.floor(world.now() / 1000) }, grant.id);
}

/** Signed by the twin for itself; nobody is expected to verify it. */
function jwt(claims: Record<string, unknown>, key: string): string {
    const [header, payload] = [{ alg: 'HS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
    return `${header}.${payload}.${createHmac('sha256', key).update(`${header}.${payload}`).digest('base64url')}`;
}
