import type { PostConnectionHook } from './hook.ts';
import { tokenClaim } from './token-claim.ts';

/** Tokens of personal accounts have no claims, and no tenant. */
export const microsoftTenant: PostConnectionHook = ({ credentials }) => {
    const tenantId = tokenClaim(credentials, 'tid');
    return Promise.resolve(tenantId === undefined ? {} : { tenantId });
};
