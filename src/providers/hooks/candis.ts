import { askFor } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

export const candis: PostConnectionHook = async (context) => ({
    organizationId: await askFor(context, { endpoint: '/v1/organizations/info' }, 'id'),
});
