import type { PostConnectionHook } from './hook.ts';

/** The vendor wants it in a header of every call. */
export const adobeUmapi: PostConnectionHook = ({ clientId }) => Promise.resolve(clientId === null ? {} : { clientId });
