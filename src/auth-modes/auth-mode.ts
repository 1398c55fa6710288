/**
 * The ways of authenticating, one file each behind one interface. A mode turns what a person or a provider supplies into
 * credentials, and says how they are renewed. It does not store anything, and knows nothing of HTTP requests to Valetkey.
 */
import type { Credentials, Obtained } from '../credentials/credential.ts';
import type { IntegrationExtras } from '../credentials/integration-secrets.ts';
import type { RenewalStrategy } from '../credentials/renewal-strategy.ts';
import type { Egress } from '../egress/egress.ts';
import type { Provider } from '../providers/provider.ts';
import type { Sources } from '../sources.ts';
import type { ClientRegistration } from './mcp/client-registration.ts';
import type { RegisteredClients } from './mcp/registered-clients.ts';

/** An integration with its secret opened. */
export interface ModeIntegration {
    id: string;
    environmentId: string;
    uniqueKey: string;
    clientId: string | null;
    clientSecret: string | null;
    /** Comma separated. */
    scopes: string | null;
    extras: IntegrationExtras;
    /** N2: hosts that may receive the client secret; `null`: the catalogue's list. */
    allowedHosts: readonly string[] | null;
    isProduction: boolean;
}

export interface ModeContext {
    provider: Provider;
    integration: ModeIntegration;
    connectionConfig: Readonly<Record<string, unknown>>;
    egress: Egress;
    sources: Sources;
    /** OAuth clients that registered themselves. */
    clients: RegisteredClients;
}

/** A connect attempt that cannot go on. `type` is what the popup's socket and the callback page say (http-api §11). */
export class ConnectFailure extends Error {
    override readonly name = 'ConnectFailure';
    readonly type: string;

    /** @param message for people; names fields, never values. */
    constructor(type: string, message: string) {
        super(message);
        this.type = type;
    }
}

export interface RedirectStart extends ModeContext {
    redirectUri: string;
    state: string;
    pkceVerifier: string;
    /** Comma separated; replaces the integration's scopes. */
    scopesOverride: string | undefined;
    /** From the browser: reserved names are refused (S3). */
    clientAuthorizationParams: Readonly<Record<string, string>>;
    /** From the session: may also set `scope` and `resource`. */
    sessionAuthorizationParams: Readonly<Record<string, string>> | undefined;
    userScope: string | undefined;
}

export interface RedirectStarted {
    /** Where the browser is sent. */
    location: string;
    /** What the second half needs of the first, kept sealed with the flow until the callback. JSON. */
    memo?: Readonly<Record<string, unknown>>;
    /** Who answers, where that is known (RFC 9207, S5): the callback must name exactly this issuer, or none unless it is announced. */
    issuer?: { identifier: string; isAnnounced: boolean };
}

export interface RedirectCompletion extends ModeContext {
    /** Query of the callback. */
    query: Readonly<Record<string, unknown>>;
    /** `''`, as the verifier: the code came without an authorization request, along with an installation. */
    redirectUri: string;
    pkceVerifier: string;
    memo: Readonly<Record<string, unknown>>;
    /** Configuration of the connection that this account has already (`accountParam`). */
    storedConfig?: Readonly<Record<string, unknown>>;
}

export interface Completed extends Obtained {
    /** The account exists, its credentials do not yet: an installation that waits for an approval. */
    isPending?: boolean;
    /** S13: the provider has confirmed that the account is one of this person's. */
    isAccountProven?: boolean;
}

/** A mode whose consent happens at the provider, in the user's browser. */
export interface RedirectFlow {
    /** Whether the integration must have an OAuth client before a flow can start (http-api §11.2). */
    readonly needsClient: boolean;
    /** Names the account, in the callback's query and in the configuration: one that is connected already is renewed, not connected twice. */
    readonly accountParam?: string;
    /** @throws ConnectFailure, TokenFailure */
    start(input: RedirectStart): Promise<RedirectStarted>;
    /** Also judges the provider's own refusal in `query`. @throws ConnectFailure, TokenFailure */
    complete(input: RedirectCompletion): Promise<Completed>;
}

export interface DirectInput extends ModeContext {
    /** The validated request body: texts, and objects where the mode takes what it is given. */
    submitted: Readonly<Record<string, unknown>>;
    /** Configuration of the connection that is connected again; absent for a new one. */
    storedConfig?: Readonly<Record<string, unknown>>;
}

/** A text among what was submitted; `''` when it is absent or none. */
export const submittedText = ({ submitted }: Pick<DirectInput, 'submitted'>, name: string): string => {
    const value = submitted[name];
    return typeof value === 'string' ? value : '';
};

/** A mode whose credentials the user types in; they are tested before they are kept. */
export interface DirectFlow {
    /** What of a submission is the person's to say, where that is not all of it; the rest is neither judged nor used. */
    own?(context: ModeContext, submitted: Readonly<Record<string, unknown>>): Record<string, unknown>;
    /** What was submitted in another shape than a form has it, as a person would have typed it. The entry's rules are held to that. */
    asTyped?(submitted: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
    /** @throws ConnectFailure `connection_test_failed` when the provider rejects them. */
    create(input: DirectInput): Promise<Obtained>;
}

/** An integration that is about to be created without an OAuth client of the operator's. */
export interface IntegrationPlan {
    provider: Provider;
    environmentId: string;
    uniqueKey: string;
    redirectUri: string;
    /** The operator's own values. */
    custom: Readonly<Record<string, string>> | undefined;
    clients: RegisteredClients;
}

/** What a token is signed from, without a look into the database. */
export type SigningContext = Pick<ModeContext, 'provider' | 'connectionConfig' | 'sources'>;

export interface SignedHere extends Obtained {
    expiresAt: number;
}

export interface AuthMode {
    /** The catalogue's name. */
    readonly name: string;
    readonly redirect?: RedirectFlow;
    readonly direct?: DirectFlow;
    /** Judges the plan, and registers the client that the integration needs before it can exist. @throws ConnectFailure */
    prepareIntegration?(plan: IntegrationPlan): Promise<ClientRegistration | undefined>;
    /**
     * Where what was typed in is used as it is: tried at the provider again, once a day and not when it is read (auth-modes §17.1).
     * @throws ConnectFailure
     */
    retest?(context: ModeContext, credentials: Credentials): Promise<Pick<Obtained, 'unverified' | 'retryAfterMs'>>;
    /** Absent: credentials of this mode are never renewed. */
    renewal?(context: ModeContext, current: Credentials): RenewalStrategy;
    /**
     * R8: where Valetkey signs the tokens itself, a fresh one, from what is stored. Such connections have no expiry of their own
     * (`Obtained.expiresAt` is `null` when they are made) and no renewal. @throws ConnectFailure
     */
    sign?(context: SigningContext, stored: Credentials): Promise<SignedHere>;
}
