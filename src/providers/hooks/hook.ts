/**
 * Code that runs around a connection's life for single providers (auth-modes §17.2, §17.3): looks up account ids after
 * connecting, proves credentials where one call and its status do not, revokes a grant after deletion. A hook talks to the
 * provider only through the API it is given, and stores nothing itself. `index.ts` lists them all by the names entries use.
 */
import type { Credentials } from '../../credentials/credential.ts';
import type { Sources } from '../../sources.ts';
import type { Provider } from '../provider.ts';

export interface HookCall {
    /** Default GET. */
    method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    /** Path and query below the provider's API base, or below `baseUrl`. */
    endpoint: string;
    /** Another host of the same vendor, as a literal of the hook (N9). */
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
    /** What differs between the entries that share a hook goes by the provider, never by the integration's own key (A4). */
    provider: Pick<Provider, 'name' | 'configRules'>;
    credentials: Credentials;
    connectionConfig: Readonly<Record<string, unknown>>;
    clientId: string | null;
    clientSecret: string | null;
    sources: Sources;
    /** A call with the connection's credentials, any status. @throws HookFailure when it cannot be made; EgressError when there is no answer */
    call(call: HookCall): Promise<HookAnswer>;
}

/**
 * Names to set in the connection's configuration; `undefined` removes one. May run more than once for one connection: when it
 * is connected again, and when an earlier run failed. @throws HookFailure, EgressError
 */
export type PostConnectionHook = (context: HookContext) => Promise<Readonly<Record<string, unknown>>>;

/** `unavailable`: the provider said nothing about these credentials (A3). */
export type Verdict = 'accepted' | 'rejected' | 'unavailable';

/** @throws HookFailure when the answer makes no sense; EgressError when there is none */
export type VerificationScript = (context: HookContext) => Promise<Verdict>;

export interface DeletionHook {
    /** Ends more than this connection's grant: not done while another connection may need it. */
    endsAll?: boolean;
    /** The provider's answer, whose status says whether the grant is gone; `undefined`: there was nothing to revoke. */
    revoke(context: HookContext): Promise<HookAnswer | undefined>;
}

/** The provider answered something a hook cannot use. The message names what, never a value. */
export class HookFailure extends Error {
    override readonly name = 'HookFailure';
}
