/** The one error of the egress layer. */

export type EgressErrorCode =
    | 'invalid_url'
    | 'invalid_header'
    | 'blocked_by_policy'
    | 'dns_failure'
    | 'connection_failed'
    | 'connect_timeout'
    | 'tls_failure'
    | 'connection_lost'
    | 'deadline_exceeded'
    | 'response_too_large'
    | 'redirect_refused'
    | 'aborted';

const TRANSIENT: ReadonlySet<EgressErrorCode> = new Set<EgressErrorCode>([
    'dns_failure',
    'connection_failed',
    'connect_timeout',
    'connection_lost',
    'deadline_exceeded',
]);

/**
 * Why a call produced no HTTP response. The message holds the host, the code and the reason, never path, query, headers or
 * body (E5); there is no `cause`, because errors of the HTTP parser and of TLS carry pieces of what was read.
 */
export class EgressError extends Error {
    override readonly name = 'EgressError';
    readonly code: EgressErrorCode;
    /** Host name of the hop that failed, without port and brackets; empty when the URL could not be parsed. */
    readonly host: string;
    /** A word of a closed vocabulary that narrows the code: a policy rule (`plain_http`) or a system code (`ECONNREFUSED`). */
    readonly reason: string | undefined;
    /** True when no byte of the request can have reached a server. False means that the server may have acted on it. */
    readonly neverSent: boolean;
    /** True when the cause may pass by itself. Says nothing about whether repeating is safe: that is `neverSent`. */
    readonly retryable: boolean;
    /** Address of the server that the request was written to; unknown when it was not. */
    readonly remoteAddress: string | undefined;

    constructor(
        code: EgressErrorCode,
        host: string,
        detail: { neverSent: boolean; reason?: string | undefined; remoteAddress?: string | undefined },
    ) {
        const bare = host.replace(/^\[(.*)\]$/, '$1');
        super(`${bare === '' ? 'outbound call' : bare}: ${code}${detail.reason === undefined ? '' : ` (${detail.reason})`}`);
        this.code = code;
        this.host = bare;
        this.reason = detail.reason;
        this.neverSent = detail.neverSent;
        this.retryable = TRANSIENT.has(code);
        this.remoteAddress = detail.remoteAddress;
    }
}

/** The constant that Node names a failure with (`ECONNREFUSED`, `CERT_HAS_EXPIRED`), if it has one. */
export function systemCode(error: unknown): string | undefined {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code) ? code : undefined;
}
