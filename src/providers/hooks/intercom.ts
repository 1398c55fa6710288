import type { DeletionHook } from './hook.ts';

/** Takes the app out of the whole workspace. */
export const intercomDeletion: DeletionHook = { endsAll: true, revoke: ({ call }) => call({ method: 'POST', endpoint: '/auth/uninstall' }) };
