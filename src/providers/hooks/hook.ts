/**
 * Code that runs around a connection's life for single providers (auth-modes §17.2, §17.3): looks up account ids after
 * connecting, proves credentials where one call and its status do not, revokes a grant before deletion. A hook talks to the
 * provider only through the API it is given, and stores nothing itself. `index.ts` lists them all by the names entries use.
 */
import type { Credentials } from '../../credentials/credential.ts';
import type { Sources } from '../../sources.ts';

export interface HookCall {
    /** Default GET. */
    method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    /** Path and query below the provider's API base, or below `baseUrl`. */
    endpoint: string;
    /** Another host of the same vendor, as a literal of the hook. */
    baseUrl?: string;
    headers?: Readonly<Record<string, string>>;
    /** At most one of the three. */
    json?: unknown;
    form?: Readonly<Record<string, string>>;
    text?: string;
}

export interface HookAnswer {
    status: number;
    headers: Readonly<Record<string, string>>;
    /** JSON where it is JSON, else text. */
    body: unknown;
}

export interface HookContext {
    credentials: Credentials;
    connectionConfig: Readonly<Record<string, unknown>>;
    metadata: Readonly<Record<string, unknown>>;
    clientId: string | null;
    clientSecret: string | null;
    sources: Sources;
    /** A call with the connection's credentials, any status. @throws EgressError when there is no answer */
    call(call: HookCall): Promise<HookAnswer>;
}

/** Names to set in the connection's configuration; `undefined` removes one. @throws HookFailure */
export type PostConnectionHook = (context: HookContext) => Promise<Readonly<Record<string, unknown>>>;

/** `unavailable`: the provider said nothing about these credentials (A3). */
export type VerificationScript = (context: HookContext) => Promise<'accepted' | 'rejected' | 'unavailable'>;

/** Best effort: whatever it throws is recorded, and the deletion goes on. */
export type DeletionHook = (context: HookContext) => Promise<void>;

/** The provider answered something a hook cannot use. The message names what, never a value. */
export class HookFailure extends Error {
    override readonly name = 'HookFailure';
}
