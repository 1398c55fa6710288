/** What renewal needs to know about a way of authenticating; auth modes implement it, so that renewal need not know them. */
import type { OperationRecord } from '../egress/operation-record.ts';
import type { RenewalTarget } from '../store/renewal-targets.ts';
import type { Credentials, Obtained } from './credential.ts';
import type { TestVerdict } from './credential-test-schedule.ts';
import type { TokenLimits } from './token-gate.ts';

/** A 2xx answer of a token endpoint as it arrived. Journalled before anybody interprets it (R2). */
export interface TokenReceipt {
    status: number;
    contentType: string;
    body: string;
    /** Milliseconds since the epoch. */
    requestedAt: number;
    receivedAt: number;
    /** How far the provider's clock is ahead of ours, ms, by its `Date` header (R11). */
    serverAheadMs?: number | undefined;
    /** What was presented, where it was not the newest refresh token: an answer without a new one means that this one lives on. */
    presentedRefreshToken?: string | undefined;
    /** What further calls of the same exchange brought, by a name of the mode's own. JSON. */
    further?: Readonly<Record<string, unknown>> | undefined;
    /** The signed assertion that was presented, where the credentials show it: the app's JWT. */
    presentedAssertion?: string | undefined;
}

/** What a provider says of a token: until when it lives, that it does not, or nothing that could be relied on. */
export type Confirmation = { expiresAt: number } | 'inactive' | 'unknown';

export interface RenewalStrategy {
    /** The provider's `token_expiration_buffer`, in seconds. */
    readonly marginSeconds?: number | undefined;
    /** The provider's `assumed_expires_in`, in seconds: when to renew a token of unknown lifetime. */
    readonly assumedLifetimeSeconds?: number | undefined;
    /** The provider's `max_idle`, in seconds: longest that a refresh token may lie unused (R12). */
    readonly maxIdleSeconds?: number | undefined;
    /** The provider's `token_limits`. */
    readonly tokenLimits?: TokenLimits | undefined;
    canRenew(credentials: Credentials): boolean;
    /** Host and port that `present` calls first; `undefined`: unknown, for the configuration does not yield one. */
    tokenHost?(credentials: Credentials): string | undefined;
    /**
     * Presents the grant to the provider.
     * @param refreshToken the generation to present; the newest, or once the one before it (R2c)
     * @throws TokenFailure on anything but a success that carries a token
     */
    present(credentials: Credentials, refreshToken: string | undefined, deadlineMs: number): Promise<TokenReceipt>;
    /** Reads an answer; pure, so that a journalled answer gives the same result after a crash. @throws TokenFailure */
    interpret(receipt: TokenReceipt, current: Credentials): Obtained;
    /**
     * R14: asks about a token whose answers name no lifetime, before a renewal that nobody forced. Never throws: a failure to
     * ask is `unknown`, and renews nothing.
     */
    confirm?(credentials: Credentials, deadlineMs: number): Promise<Confirmation>;
    /** Whether the catalogue marks this connection configuration as secret; what a renewal brings of it is sealed. */
    isSecretConfig?(name: string): boolean;
    /** Where the integration is an app that speaks for itself: its own JWT, freshly signed. @throws TokenFailure */
    signAppJwt?(): Promise<string>;
}

/** Absent `run`: there is no way to find out, at present. */
export interface CredentialTest {
    run?: () => Promise<TestVerdict>;
}

export interface RenewalStrategies {
    /** `undefined`: these credentials are never renewed. @param record gets its calls. @throws VaultError when the integration's secret cannot be opened */
    strategyFor(target: RenewalTarget, credentials: Credentials, record?: OperationRecord): Promise<RenewalStrategy | undefined>;
    /** `undefined`: these credentials are not what a person typed in. @throws VaultError, TokenFailure as above */
    testOf?(target: RenewalTarget, credentials: Credentials, record?: OperationRecord): Promise<CredentialTest | undefined>;
    authModeOf(provider: string): string;
}
