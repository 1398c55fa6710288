/**
 * Providers whose token calls the keys of an entry cannot describe (catalogue contract 11, auth-modes §17.4). An exception says
 * what is different about them, as requests and readings of answers; `auth-modes/` makes the calls, stores and renews.
 * An entry names its exception in `token_exchange_script`; `index.ts` lists them all.
 */
import type { Sources } from '../../sources.ts';

/** One call to the provider. Redirects are never followed. */
export interface ExceptionCall {
    /** Default POST. */
    method?: 'GET' | 'POST' | 'DELETE';
    url: URL;
    /** Added to the URL. */
    query?: Readonly<Record<string, string>>;
    headers?: Readonly<Record<string, string>>;
    /** At most one of the three. */
    form?: Readonly<Record<string, string>>;
    json?: Readonly<Record<string, unknown>>;
    text?: string;
}

export type Answer = Readonly<Record<string, unknown>>;

export interface ExceptionContext {
    clientId: string;
    clientSecret: string;
    /** Comma separated scopes of the integration, split. */
    scopes: readonly string[];
    connectionConfig: Readonly<Record<string, unknown>>;
    /** The entry's URLs with this connection's values, already checked as destinations of secrets (N2). */
    tokenUrl: URL;
    refreshUrl: URL | undefined;
    sources: Sources;
    /** Makes a call and reads its answer. @throws TokenFailure on anything but a 2xx answer that carries no `error` */
    call(call: ExceptionCall): Promise<Answer>;
}

export interface CodeExchange extends ExceptionContext {
    code: string;
    redirectUri: string;
    pkceVerifier: string;
    state: string;
    /** Query of the callback. */
    query: Readonly<Record<string, unknown>>;
}

export interface Renewal extends ExceptionContext {
    /** As stored. */
    accessToken: string;
    refreshToken: string | undefined;
    /** The whole stored answer. */
    raw: Answer;
}

/** Answers as they came, in JSON form: journalled before anybody reads them (R2), read again after a crash. */
export interface Answers {
    /** The answer that holds the token. */
    main: Answer;
    /** Answers of further calls, by a name of the exception's own. */
    further?: Readonly<Record<string, Answer>>;
}

/** What an exception reads out of answers; the generic rules take it from there (expiry, R6, metadata). */
export interface TokenReading {
    access_token: string;
    refresh_token?: string | undefined;
    /** Seconds. */
    expires_in?: unknown;
    /** A moment. */
    expires_at?: unknown;
    /** Stored as `raw`. */
    raw: Answer;
    /** Connection configuration that the exception keeps up to date; `undefined` removes a name. */
    config?: Readonly<Record<string, unknown>>;
}

export interface TokenException {
    /** Absent: the generic code exchange. */
    exchange?(exchange: CodeExchange): Promise<Answers>;
    /** Absent: the generic refresh. */
    refresh?(renewal: Renewal): Promise<Answers>;
    /** Pure. Absent: the generic reading of `main`. @throws TokenFailure */
    read?(
        answers: Answers,
        stored: { raw: Answer; refreshToken: string | undefined; connectionConfig: Readonly<Record<string, unknown>> },
    ): TokenReading;
    /** Whether `refresh` needs a refresh token; without one the access token itself is exchanged. Default: yes. */
    renewsWithoutRefreshToken?: boolean;
    /** The provider extends tokens only on request; the clock alone does not renew them. */
    renewsOnRequestOnly?: boolean;
}
