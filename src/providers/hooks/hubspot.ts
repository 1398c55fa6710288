import { askFor } from './answers.ts';
import type { DeletionHook, PostConnectionHook } from './hook.ts';

export const hubspot: PostConnectionHook = async (context) => ({
    portalId: await askFor(context, { endpoint: '/account-info/v3/details' }, 'portalId'),
});

/** The vendor names the token in the path. */
export const hubspotDeletion: DeletionHook = {
    revoke: async ({ credentials, call }) =>
        credentials.type === 'OAUTH2' && credentials.refresh_token
            ? call({ method: 'DELETE', endpoint: `/oauth/v1/refresh-tokens/${encodeURIComponent(credentials.refresh_token)}` })
            : undefined,
};
