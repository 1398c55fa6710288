/**
 * Every write to a connection's credentials and renewal state. Credentials change through `writeCredentials` and nothing
 * else; it checks the fencing epoch and the version, so that a writer who was overtaken writes nothing (R1, R3).
 */
import { sql, type UpdateObject } from 'kysely';
import { json, type Db } from './database.ts';
import { refreshQueue } from './leased-work.ts';
import { insertRenewals, type Renewed } from './operations.ts';
import { prepare } from './prepared.ts';
import { arraysOf, rowsFrom, type ColumnTypes, type RowArrays } from './row-arrays.ts';
import type { AuthError, AuthState, ConnectionRow, ExpirySource, RefreshIntent, Schema } from './schema.ts';

/** Takes the lease when nobody holds it. @returns the fencing epoch, or `undefined` when it is held. */
export async function acquireLease(db: Db, id: string, owner: string, now: number, leaseMs: number): Promise<number | undefined> {
    const { rows } = await sql<{ refresh_epoch: number }>`
        update connections
        set refresh_lease_owner = ${owner}, refresh_lease_until = ${new Date(now + leaseMs)}, refresh_epoch = refresh_epoch + 1
        where id = ${id} and deleted_at is null
          and (refresh_lease_until is null or ${sql.raw(refreshQueue.leaseOver)} < ${new Date(now)})
        returning refresh_epoch`.execute(db);
    return rows[0]?.refresh_epoch;
}

/**
 * R10: asks to be told when the lease ends that somebody holds now (migration 0016). @returns whether anybody does
 */
export async function waitForLease(db: Db, id: string): Promise<boolean> {
    const result = await db
        .updateTable('connections')
        .set({ refresh_waited: true })
        .where('id', '=', id)
        .where('refresh_lease_owner', 'is not', null)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/**
 * Rows are found, and locked, in the order in which they are given: as bulk writes of metadata and of `last_fetched_at` lock them,
 * so that neither can deadlock the other.
 */
const inOrder = <Row extends { id: string }>(rows: readonly Row[]): Row[] => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));

interface IntentRow {
    id: string;
    /** JSON of a `RefreshIntent`. */
    intent: string;
}

const intentTypes: ColumnTypes<IntentRow> = { id: 'uuid', intent: 'jsonb' };

const recordAll = prepare<RowArrays<IntentRow>, { id: string }>(
    'record intents',
    (slots) => sql`
        update connections c set refresh_intent = n.intent from ${rowsFrom('n', intentTypes, slots)}
        where c.id = n.id and c.refresh_epoch = (n.intent ->> 'epoch')::bigint and c.deleted_at is null
        returning c.id`,
);

/**
 * R2d: recorded before the token calls, so that a call without an outcome is visible after a crash. Of several connections in one
 * statement. @returns for each, in their order, whether its lease still holds
 */
export async function recordIntents(db: Db, intents: readonly { id: string; intent: RefreshIntent }[]): Promise<boolean[]> {
    const given = intents.map(({ id, intent }) => ({ id, intent: json(intent) }));
    const recorded = new Set((await recordAll(db, arraysOf(intentTypes, inOrder(given)))).map(({ id }) => id));
    return intents.map(({ id }) => recorded.has(id));
}

/** A connection's configuration as it is now, held until the transaction ends: what is laid over it must not undo another's write. */
export const lockConfig = (
    db: Db,
    id: string,
): Promise<Pick<ConnectionRow, 'id' | 'environment_id' | 'connection_config' | 'sealed_secrets'> | undefined> =>
    db
        .selectFrom('connections')
        .select(['id', 'environment_id', 'connection_config', 'sealed_secrets'])
        .where('id', '=', id)
        .where('deleted_at', 'is', null)
        .forNoKeyUpdate()
        .executeTakeFirst();

export interface CredentialWrite {
    id: string;
    /** What the writer saw: nothing is written when either has moved on. */
    epoch: number;
    version: number;
    sealedCredentials: string;
    sealedPreviousRefreshToken: string | null;
    credentialType: string;
    obtainedAt: Date;
    expiresAt: Date | null;
    /** Default: nothing says so. */
    expiresAtSource?: ExpirySource | null;
    nextRefreshAt: Date | null;
    /** What is foreseen of their end; absent: as it was. */
    refreshTokenExpiresAt?: Date | null;
    expiryNoticeAt?: Date | null;
    now: Date;
    /** What these credentials are for is still to come; default: no. */
    isPending?: boolean;
    /** Columns that a reconnect brings along, and configuration that came with a renewed token; of a renewal nothing else (R3). */
    alongside?: UpdateObject<Schema, 'connections'>;
}

/** Of a renewal: what is foreseen of the end of its credentials is always said. */
export type RenewalWrite = CredentialWrite & { refreshTokenExpiresAt: Date | null; expiryNoticeAt: Date | null };

/** What is stored of new credentials. */
const credentialColumns = (write: CredentialWrite) => ({
    credential_type: write.credentialType,
    sealed_credentials: write.sealedCredentials,
    sealed_previous_refresh_token: write.sealedPreviousRefreshToken,
    credentials_version: write.version + 1,
    credentials_obtained_at: write.obtainedAt,
    credentials_expires_at: write.expiresAt,
    credentials_expires_at_source: write.expiresAtSource ?? null,
    auth_state: write.isPending ? ('pending' as const) : ('ok' as const),
    next_refresh_at: write.nextRefreshAt,
    refresh_token_expires_at: write.refreshTokenExpiresAt,
    expiry_notice_at: write.expiryNoticeAt,
    refresh_epoch: write.epoch + 1,
    last_refresh_success: write.now,
});

/** They end the lease, the intent and any failure state. */
const endedByCredentials = {
    auth_error: null,
    refresh_lease_owner: null,
    refresh_lease_until: null,
    refresh_intent: null,
    refresh_attempts: 0,
    last_refresh_failure: null,
    refresh_failure_reported_at: null,
} as const;

/**
 * The one function that changes stored credentials, with the next, which does it for several. Raises the epoch, so that a renewal
 * which began before cannot write afterwards. @returns whether the guard held.
 */
export async function writeCredentials(db: Db, write: CredentialWrite): Promise<boolean> {
    const result = await db
        .updateTable('connections')
        .set({ ...write.alongside, ...credentialColumns(write), ...endedByCredentials })
        .where('id', '=', write.id)
        .where('refresh_epoch', '=', write.epoch)
        .where('credentials_version', '=', write.version)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/** New credentials that came from a journalled answer. */
export interface JournalledWrite extends Omit<RenewalWrite, 'alongside'> {
    journalId: string;
    /** What the operation log says of it (O3). */
    log: Renewed;
}

const credentialTypes: ColumnTypes<ReturnType<typeof credentialColumns>> = {
    credential_type: 'text',
    sealed_credentials: 'text',
    sealed_previous_refresh_token: 'text',
    credentials_version: 'bigint',
    credentials_obtained_at: 'timestamptz',
    credentials_expires_at: 'timestamptz',
    credentials_expires_at_source: 'text',
    auth_state: 'text',
    next_refresh_at: 'timestamptz',
    refresh_token_expires_at: 'timestamptz',
    expiry_notice_at: 'timestamptz',
    refresh_epoch: 'bigint',
    last_refresh_success: 'timestamptz',
};
const setting = [
    ...Object.keys(credentialTypes).map((name) => sql`${sql.ref(name)} = n.${sql.ref(name)}`),
    ...Object.entries(endedByCredentials).map(([name, value]) => sql`${sql.ref(name)} = ${sql.lit(value)}`),
];

type JournalledRow = ReturnType<typeof credentialColumns> & { id: string; journal_id: string; operation_id: string; reason: Renewed['reason'] };

const journalledTypes: ColumnTypes<JournalledRow> = { id: 'uuid', ...credentialTypes, journal_id: 'uuid', operation_id: 'text', reason: 'text' };

const applyAll = prepare<RowArrays<JournalledRow>, { id: string }>(
    'apply journalled',
    (slots) => sql`
        with applied as (
            update connections c set ${sql.join(setting)} from ${rowsFrom('n', journalledTypes, slots)}
            where c.id = n.id and c.refresh_epoch = n.refresh_epoch - 1 and c.credentials_version = n.credentials_version - 1 and c.deleted_at is null
            returning c.id, c.environment_id, c.integration_id, c.connection_id, c.credentials_expires_at, n.journal_id, n.operation_id, n.reason
        ), settled as (
            delete from credential_journal j using applied where j.id = applied.journal_id
        ), logged as (
            ${insertRenewals(sql`applied`)}
        )
        select id from applied`,
);

/**
 * Of several connections in one statement, each under its own guard; where it holds, the journal has done its work and forgets the answer, and the renewal is logged.
 * @returns the ids of those
 */
export async function applyJournalled(db: Db, all: readonly JournalledWrite[]): Promise<Set<string>> {
    const rows = all.map((write) => ({
        id: write.id,
        ...credentialColumns(write),
        journal_id: write.journalId,
        operation_id: write.log.id,
        reason: write.log.reason,
    }));
    return new Set((await applyAll(db, arraysOf(journalledTypes, inOrder(rows)))).map(({ id }) => id));
}

export interface FailureWrite {
    id: string;
    epoch: number;
    state: AuthState;
    error: AuthError;
    attempts: number;
    nextRefreshAt: Date | null;
    now: Date;
    /** The call may have reached the provider: the intent stays, as a warning to the next attempt. */
    keepIntent: boolean;
    reportedAt: Date | null;
    /** That they are about to lapse is told along with it. */
    isLapseTold?: boolean;
}

/** Ends the lease with a failure. @returns whether this process still held it. */
export async function writeFailure(db: Db, write: FailureWrite): Promise<boolean> {
    const result = await db
        .updateTable('connections')
        .set({
            auth_state: write.state,
            auth_error: json(write.error),
            refresh_attempts: write.attempts,
            next_refresh_at: write.nextRefreshAt,
            last_refresh_failure: write.now,
            refresh_lease_owner: null,
            refresh_lease_until: null,
            ...(write.keepIntent ? {} : { refresh_intent: null }),
            ...(write.reportedAt ? { refresh_failure_reported_at: write.reportedAt } : {}),
            ...(write.isLapseTold ? { expiry_notice_at: null } : {}),
        })
        .where('id', '=', write.id)
        .where('refresh_epoch', '=', write.epoch)
        // a write repeated after its answer was lost finds the lease ended
        .where('refresh_lease_owner', 'is not', null)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/** Ends the lease, and a failure that is over although nothing was renewed. @returns whether this process still held it. */
export async function endFailure(db: Db, id: string, epoch: number, next: { nextRefreshAt: Date | null; expiryNoticeAt?: null }): Promise<boolean> {
    const result = await db
        .updateTable('connections')
        .set({ ...endedByCredentials, auth_state: 'ok', next_refresh_at: next.nextRefreshAt, expiry_notice_at: next.expiryNoticeAt })
        .where('id', '=', id)
        .where('refresh_epoch', '=', epoch)
        .where('refresh_lease_owner', 'is not', null)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

function stateAfterTest({ verdict, now, error, isReported }: TestOutcomeWrite): UpdateObject<Schema, 'connections'> {
    switch (verdict) {
        case null:
            return {};
        case 'accepted':
            return {
                credential_verdict: verdict,
                auth_state: 'ok',
                auth_error: null,
                last_refresh_success: now,
                last_refresh_failure: null,
                refresh_failure_reported_at: null,
            };
        case 'rejected':
            return {
                credential_verdict: verdict,
                auth_state: 'needs_reauth',
                auth_error: error ? json(error) : null,
                last_refresh_failure: now,
                ...(isReported ? { refresh_failure_reported_at: now } : {}),
            };
    }
}

export interface TestOutcomeWrite {
    id: string;
    epoch: number;
    /** `null`: none; the state stays. */
    verdict: 'accepted' | 'rejected' | null;
    refusals: number;
    attempts: number;
    nextRefreshAt: Date;
    now: Date;
    /** Of a rejection. */
    error: AuthError | undefined;
    /** The rejection is told to the customer now. */
    isReported: boolean;
}

/** Ends the lease with what a test of typed-in credentials found; they stay as they are. @returns whether this process still held it. */
export async function writeTestOutcome(db: Db, write: TestOutcomeWrite): Promise<boolean> {
    const result = await db
        .updateTable('connections')
        .set({
            ...stateAfterTest(write),
            credential_refusals: write.refusals,
            refresh_attempts: write.attempts,
            next_refresh_at: write.nextRefreshAt,
            refresh_lease_owner: null,
            refresh_lease_until: null,
        })
        .where('id', '=', write.id)
        .where('refresh_epoch', '=', write.epoch)
        // As after a failure: the lease has ended where this is repeated.
        .where('refresh_lease_owner', 'is not', null)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}

/**
 * Gives connections that were lost because the provider refused the integration's client another chance, now that there is
 * another client. Their problem stays until a renewal succeeds; a refusal of the new client ends them again.
 */
export async function retryRefusedClients(db: Db, integrationId: string, now: Date): Promise<void> {
    await db
        .updateTable('connections')
        .set({
            auth_state: sql`case when credentials_expires_at > ${now} or credentials_expires_at is null then 'degraded' else 'unavailable' end`,
            next_refresh_at: now,
        })
        .where('integration_id', '=', integrationId)
        .where('auth_state', '=', 'needs_reauth')
        .where(sql<boolean>`auth_error @> '{"client_refused": true}'`)
        .where('deleted_at', 'is', null)
        .execute();
}

/**
 * Ends the lease without an attempt, setting when to look again; absent: when it was due, which another may have moved meanwhile (R3).
 * @returns whether this process still held it
 */
export async function releaseLease(
    db: Db,
    id: string,
    epoch: number,
    next: { nextRefreshAt?: Date | null; expiryNoticeAt?: null } = {},
): Promise<boolean> {
    const result = await db
        .updateTable('connections')
        .set({ refresh_lease_owner: null, refresh_lease_until: null, next_refresh_at: next.nextRefreshAt, expiry_notice_at: next.expiryNoticeAt })
        .where('id', '=', id)
        .where('refresh_epoch', '=', epoch)
        .executeTakeFirst();
    return result.numUpdatedRows > 0n;
}
