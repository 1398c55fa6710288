import { askFor } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

export const attio: PostConnectionHook = async (context) => ({ workspace_id: await askFor(context, { endpoint: '/v2/self' }, 'workspace_id') });
