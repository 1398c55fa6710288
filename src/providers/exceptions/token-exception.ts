/**
 * Providers whose token calls the keys of an entry cannot describe (catalogue contract 11, auth-modes §17.4). An exception says
 * what is different about them, as requests and readings of answers; `auth-modes/` makes the calls, stores and renews.
 * An entry names its exception in `token_exchange_script`; `index.ts` lists them all.
 */
import type { TokenReceipt } from '../../credentials/renewal-strategy.ts';
import type { FailureKind } from '../../credentials/token-failure.ts';
import type { Sources } from '../../sources.ts';

/** One call to the provider. Redirects are never followed; a value in it never appears in an error. */
export interface ExceptionCall {
    /** Default POST. */
    method?: 'GET' | 'POST';
    url: URL;
    /** Added to the URL. */
    query?: Readonly<Record<string, string>>;
    headers?: Readonly<Record<string, string>>;
    /** At most one of the three; the last needs a content type among the headers. */
    form?: Readonly<Record<string, string>>;
    json?: Readonly<Record<string, unknown>>;
    text?: string;
}

export type Answer = Readonly<Record<string, unknown>>;

/** What a further call came to. JSON: it is journalled with the main answer (R2). */
export type Further = { answer: Answer; requestedAt: number } | { failure: { kind: FailureKind; description: string } };

export interface Called {
    /** Empty where the body is unreadable; whoever interprets the receipt says so. */
    answer: Answer;
    receipt: TokenReceipt;
    /** By a name of the exception's own. */
    further?: Readonly<Record<string, Further>>;
}

export interface ExceptionContext {
    clientId: string;
    clientSecret: string;
    scopes: readonly string[];
    connectionConfig: Readonly<Record<string, unknown>>;
    /** The entry's URLs with this connection's values, checked as destinations of secrets (N2). */
    tokenUrl: URL;
    /** The token URL where the entry has no other. */
    refreshUrl: URL;
    /** What the auth mode adds to every token call: MCP's `resource` (M2). */
    extraParams: Readonly<Record<string, string>>;
    sources: Sources;
    /** The call that the keys of the entry describe. @throws TokenFailure */
    usual(): Promise<Called>;
    /** @throws TokenFailure on anything but a 2xx answer that the exception does not take for a refusal */
    call(call: ExceptionCall): Promise<Called>;
    /** A call that may fail without loss of what others have brought. */
    attempt(call: ExceptionCall): Promise<Further>;
    /** Asks for the lifetime of a token, as `introspection` says. `undefined`: there is nobody to ask. */
    introspect(accessToken: string, answer: Answer): Promise<Further | undefined>;
}

export interface CodeExchange extends ExceptionContext {
    code: string;
    redirectUri: string;
    pkceVerifier: string;
    /** As it came back. */
    state: string;
}

export interface Renewal extends ExceptionContext {
    /** As stored. */
    accessToken: string;
    /** The generation to present; absent where there is none. */
    refreshToken: string | undefined;
    /** The whole stored answer. */
    raw: Answer;
}

/** What is stored before a renewal is applied. */
export interface StoredToken {
    accessToken: string;
    refreshToken: string | undefined;
    expiresAt: string | undefined;
    raw: Answer;
}

export interface ReadingContext {
    connectionConfig: Readonly<Record<string, unknown>>;
    /** Absent: the answers are those of a code exchange. */
    stored?: StoredToken;
    /** Of a code exchange. */
    redirectUri?: string;
}

export interface Answers {
    main: Answer;
    further: Readonly<Record<string, Further>>;
    /** When the main call began and ended, ms. */
    requestedAt: number;
    receivedAt: number;
}

/** What an exception reads out of answers; the generic rules take it from there (expiry, R6, metadata). */
export interface TokenReading {
    access_token: unknown;
    refresh_token?: unknown;
    /** Seconds. */
    expires_in?: unknown;
    /** A moment; counts before `expires_in`. */
    expires_at?: unknown;
    /** Stored as `raw`; the entry's metadata is taken from it. */
    raw: Answer;
    /** Connection configuration that the exception keeps up to date; `undefined` removes a name. */
    config?: Readonly<Record<string, unknown>>;
    /** To be renewed by then although the token lives longer, ms: a second token ends, or a part is to be tried again. */
    renewBy?: number | undefined;
    /** What failed without harm to the token; for the log. */
    notes?: readonly string[];
}

/** A refusal in the words of RFC 6749 §5.2, whatever the provider calls it. */
export interface Refusal {
    code?: string | undefined;
    description?: string | undefined;
}

export interface Introspection {
    /** Where to ask about a token (RFC 7662); `undefined`: nowhere. */
    url(connectionConfig: Readonly<Record<string, unknown>>, raw: Answer): URL | undefined;
    /** R14: the family of the token endpoint, where entry and integration list no hosts; written as in `allowed_hosts`. */
    hosts: readonly string[];
}

export interface TokenException {
    /** Absent: the generic code exchange. */
    exchange?(exchange: CodeExchange): Promise<Called>;
    /** Absent: the generic refresh. */
    refresh?(renewal: Renewal): Promise<Called>;
    /** Pure. Absent: the generic reading of the main answer. @throws TokenFailure */
    read?(answers: Answers, context: ReadingContext): TokenReading;
    /** A refusal that does not look like one: an error in a 200, or one that RFC 6749 does not know. */
    refusal?(answer: Answer, status: number): Refusal | undefined;
    /** `refresh` needs no refresh token. */
    renewsWithoutRefreshToken?: boolean;
    /** When to renew, in seconds before expiry, where the entry does not say. */
    marginSeconds?: number;
    /** When to renew a token of unknown lifetime, where the entry does not say. */
    assumedLifetimeSeconds?: number;
    introspection?: Introspection;
}
