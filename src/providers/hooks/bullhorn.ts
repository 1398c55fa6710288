import type { PostConnectionHook } from './hook.ts';

/** They filled in the login page, and are needed no more. */
export const bullhorn: PostConnectionHook = () => Promise.resolve({ username: undefined, password: undefined });
