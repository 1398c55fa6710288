import { askGraphql } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

export const jobber: PostConnectionHook = async (context) => ({
    accountId: await askGraphql(context, '/graphql', 'query { account { id } }', 'account.id'),
});
