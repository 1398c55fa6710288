import { askGraphql } from './answers.ts';
import type { DeletionHook, PostConnectionHook } from './hook.ts';

export const linear: PostConnectionHook = async (context) => ({
    organizationId: await askGraphql(context, '/graphql', 'query { organization { id } }', 'organization.id'),
});

/** The token is the one that the call is made with. */
export const linearDeletion: DeletionHook = { revoke: ({ call }) => call({ method: 'POST', endpoint: '/oauth/revoke' }) };
