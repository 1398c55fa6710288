import type { DeletionHook, PostConnectionHook, VerificationScript } from './hook.ts';

/** By the name an entry gives in `post_connection_script`. */
export const postConnectionHooks: ReadonlyMap<string, PostConnectionHook> = new Map();

/** By the name an entry gives in `pre_connection_deletion_script`. */
export const deletionHooks: ReadonlyMap<string, DeletionHook> = new Map();

/** By the name an entry gives in `credentials_verification_script`. */
export const verificationScripts: ReadonlyMap<string, VerificationScript> = new Map();
