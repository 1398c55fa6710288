import { ask } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

export const ripplingShopApp: PostConnectionHook = async (context) => {
    await ask(context, { method: 'POST', endpoint: '/platform/api/mark_app_installed' });
    return {};
};
