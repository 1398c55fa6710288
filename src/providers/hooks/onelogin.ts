import type { DeletionHook } from './hook.ts';

export const oneloginDeletion: DeletionHook = {
    revoke: async ({ credentials, clientId, clientSecret, call }) =>
        credentials.type === 'OAUTH2_CC' && credentials.token !== ''
            ? call({
                  method: 'POST',
                  endpoint: '/auth/oauth2/revoke',
                  // The vendor's own form of client authentication.
                  headers: { authorization: `client_id:${clientId ?? ''}, client_secret:${clientSecret ?? ''}` },
                  json: { access_token: credentials.token },
              })
            : undefined,
};
