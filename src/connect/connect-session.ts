/**
 * Connecting an account: sessions, redirect flows and their state, typed-in credentials, and the outcome's way to the browser.
 *
 * Lives here: what a connect attempt is and what it leaves behind. Does not live here: how a provider is spoken to
 * (`auth-modes/`), how credentials are kept fresh (`credentials/`), HTTP (`http/`).
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { RegisteredClients } from '../auth-modes/mcp/registered-clients.ts';
import type { Catalogue } from '../providers/catalogue.ts';
import type { Egress } from '../egress/egress.ts';
import type { OperationRecord } from '../egress/operation-record.ts';
import type { Vault } from '../credentials/vault.ts';
import { newRowId, type Sources } from '../sources.ts';
import * as sessions from '../store/connect-sessions.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import { json } from '../store/database.ts';
import * as operations from '../store/operations.ts';
import type { ConnectSessionRow, EndUser, Schema } from '../store/schema.ts';

/** Labelled moments of a callback, for fault injection. */
export type ConnectStep = 'connect-consumed' | 'connect-answered' | 'connect-committed';

/** What every connect attempt works with. */
export interface ConnectContext {
    db: Kysely<Schema>;
    vault: Vault;
    sources: Sources;
    egress: Egress;
    catalogue: Catalogue;
    clients: RegisteredClients;
    logger: Logger;
    publicUrl: string;
    connectUiUrl: string;
    /** How often typed-in credentials are tested at their provider; 0: not at all. */
    credentialTestMs: number;
    /** Of one attempt: what it did, for its operation. */
    record?: OperationRecord | undefined;
    /** There may be a webhook to send. */
    wakeDeliveries(): void;
    onStep?: ((step: ConnectStep) => void | Promise<void>) | undefined;
}

/** What a session presets for one integration; may hold secrets, so it is stored sealed. */
export interface IntegrationDefaults {
    user_scopes?: string | undefined;
    authorization_params?: Record<string, string> | undefined;
    connection_config?: Record<string, unknown> | undefined;
}

export interface NewSession {
    environmentId: string;
    allowedIntegrations: readonly string[] | null;
    defaults: Record<string, IntegrationDefaults> | null;
    overrides: Record<string, { docs_connect?: string | undefined }> | null;
    endUser: EndUser | null;
    /** `null`: a reconnect that says nothing about tags keeps the stored ones. */
    tags: Record<string, string> | null;
    /** Of a reconnect: `tags` are generated ones only, laid over the stored ones. */
    keepsTags: boolean;
    /** `null`: not mentioned; `''`: cleared. */
    webhookUrlOverride: string | null;
    /** Row id of the connection that a reconnect session renews. */
    connectionRowId: string | null;
    /** Checked (`return-url.ts`). */
    returnUrl: string | null;
    /** Ends with its first success. */
    isSingleUse: boolean;
}

export interface IssuedSession {
    token: string;
    connectLink: string;
    expiresAt: Date;
}

const lifetimeMs = 30 * 60 * 1000;
/** After these an attempt that nobody went on with counts as given up (§5.2); it can succeed all the same while the session lives. */
const attemptMs = 5 * 60 * 1000;
const reconnectMs = 24 * 3600 * 1000;
const tokenPrefix = 'nango_connect_session_';
export const sessionTokenPattern = /^nango_connect_session_[a-f0-9]{64}$/;

const defaultsPlace = (row: { environment_id: string; id: string }) => ({
    environmentId: row.environment_id,
    table: 'connect_sessions',
    column: 'sealed_defaults',
    rowId: row.id,
});

/** Issues a token that is shown once and stored hashed. */
export async function createSession(context: ConnectContext, session: NewSession): Promise<IssuedSession> {
    const { db, vault, sources } = context;
    const id = newRowId(sources);
    const token = tokenPrefix + sources.random(32).toString('hex');
    const now = sources.now();
    const operationId = operations.newOperationId(sources);
    const expiresAt = new Date(now + lifetimeMs);
    await db.transaction().execute(async (transaction) => {
        await operations.open(transaction, {
            id: operationId,
            environment_id: session.environmentId,
            type: 'auth',
            action: 'create_connection',
            state: 'waiting',
            level: 'info',
            message: 'Connect session created',
            integration_id: null,
            connection_row_id: session.connectionRowId,
            connection_id: null,
            error: null,
            meta: null,
            created_at: new Date(now),
            ended_at: null,
            expires_at: new Date(now + (session.connectionRowId === null ? attemptMs : reconnectMs)),
        });
        await sessions.insert(transaction, {
            id,
            environment_id: session.environmentId,
            token_hash: vault.hash(token),
            connection_id: session.connectionRowId,
            // an empty list means no restriction (http-api §4.1)
            allowed_integrations: session.allowedIntegrations?.length ? [...session.allowedIntegrations] : null,
            sealed_defaults:
                session.defaults === null ? null : vault.sealJson(session.defaults, defaultsPlace({ environment_id: session.environmentId, id })),
            overrides: session.overrides === null ? null : json(session.overrides),
            end_user: session.endUser === null ? null : json(session.endUser),
            tags: session.tags === null ? null : json(session.tags),
            keeps_tags: session.keepsTags,
            webhook_url_override: session.webhookUrlOverride,
            operation_id: operationId,
            outcome: null,
            return_url: session.returnUrl,
            single_use: session.isSingleUse,
            used_by: null,
            created_at: new Date(now),
            expires_at: expiresAt,
        });
    });
    const link = new URL(context.connectUiUrl);
    link.search = '';
    link.hash = '';
    link.pathname = `${link.pathname.replace(/\/+$/, '')}/`;
    link.searchParams.set('session_token', token);
    return { token, connectLink: link.toString(), expiresAt };
}

/** Redirect flows that it began fail at their callback (http-api §4.4). */
export async function deleteSession({ db, sources }: ConnectContext, session: ConnectSessionRow): Promise<void> {
    await db.transaction().execute(async (transaction) => {
        await sessions.remove(transaction, session.id);
        if (session.operation_id !== null) {
            await operations.cancel(transaction, session.operation_id, 'Connect session deleted', new Date(sources.now()));
        }
    });
}

/** A single-use session after its first success: it can be asked what became of it, and nothing else. */
export const isUsedUp = (session: ConnectSessionRow): boolean => session.used_by !== null;
export const sessionUsedMessage = 'This connect session has been used, or was deleted.';

/** The live session of a token, or `undefined` when it is unknown, deleted or expired, for longer than `graceMs`. */
export const findSession = (context: ConnectContext, token: string, graceMs = 0): Promise<SessionRead | undefined> =>
    sessions.findByToken(context.db, context.vault.hashes(token), new Date(context.sources.now() - graceMs));

/** What the session presets, per integration. */
export async function sessionDefaults(context: ConnectContext, session: ConnectSessionRow): Promise<Record<string, IntegrationDefaults>> {
    if (session.sealed_defaults === null) {
        return {};
    }
    return JSON.parse(await context.vault.openFresh(session.sealed_defaults, defaultsPlace(session))) as Record<string, IntegrationDefaults>;
}
