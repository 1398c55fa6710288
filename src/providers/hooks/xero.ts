import { ask, at, listAt, nameOf } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';
import { tokenClaim } from './token-claim.ts';

/** The only tenant, or the one that this very consent added. With several of an earlier consent nobody can say which is meant. */
export const xero: PostConnectionHook = async (context) => {
    const call = { endpoint: '/connections' };
    const tenants = listAt(await ask(context, call), '', nameOf(call));
    const event = tokenClaim(context.credentials, 'authentication_event_id');
    const added = tenants.length === 1 ? tenants[0] : tenants.find((tenant) => event !== undefined && at(tenant, 'authEventId') === event);
    const known = tenants.map((tenant) => at(tenant, 'tenantId'));
    if (added === undefined && known.includes(context.connectionConfig['tenant_id'])) {
        return {};
    }
    const id = at(added, 'tenantId');
    return { tenant_id: typeof id === 'string' && id !== '' ? id : undefined };
};
