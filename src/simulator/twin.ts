/** What a twin is: the endpoints of one catalogue entry, each with a handler that accepts a request or says why not. */
import type { Sources } from '../sources.ts';
import type { Credentials } from './credentials.ts';
import type { Entry } from './entry.ts';
import type { Fault } from './faults.ts';
import type { Grants } from './grants.ts';
import type { Refusal } from './refusal.ts';
import type { Samples } from './samples.ts';
import type { TwinRequest } from './twin-request.ts';
import type { Bindings } from './text-template.ts';

export interface Answer {
    status: number;
    headers?: Readonly<Record<string, string | string[]>>;
    /** Text as it is, anything else as JSON. */
    body?: unknown;
    /** One line for the activity page. */
    note?: string;
}

/** What twins share. */
export interface World {
    readonly sources: Sources;
    readonly grants: Grants;
    readonly credentials: Credentials;
    readonly samples: Samples;
    /** Where Valetkey answers: vendors whose callback is registered with the app, not sent along, go there. */
    readonly valetkeyUrl: string;
    /** The clock of the twins, ms: their vendor's clock may be off. */
    now(): number;
    /** Lifetime of tokens, in seconds. */
    lifetimeOf(slug: string): number;
    newId(): string;
    isOn(slug: string, fault: Fault): boolean;
}

export interface Call {
    readonly request: TwinRequest;
    /** Values that the URL was made with. */
    readonly bindings: Bindings;
    readonly entry: Entry;
    readonly world: World;
}

export type EndpointKind =
    | 'authorize'
    | 'token'
    | 'refresh'
    | 'revoke'
    | 'request token'
    | 'register'
    | 'login step'
    | 'install'
    | 'metadata'
    | 'lookup'
    | 'api';

export interface Endpoint {
    readonly kind: EndpointKind;
    /** A URL template of the catalogue. */
    readonly url: string;
    /** URLs below count too. */
    readonly isPrefix?: boolean;
    /** @throws Refusal. Changes nothing unless it accepts: several entries may share a URL, and each is asked. */
    handle(call: Call): Answer | Promise<Answer>;
    /** How this endpoint says no; default is an OAuth error. */
    refuse?(refusal: Refusal): Answer;
}

export const json = (body: unknown, status = 200): Answer => ({ status, body });
