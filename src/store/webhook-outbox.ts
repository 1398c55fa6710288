/** Webhook events and their deliveries. */
import { sql, type Insertable, type Kysely } from 'kysely';
import type { Db } from './database.ts';
import type { PostConnectionStatus, Schema, WebhookDeliveryRow } from './schema.ts';
import { liveKeysOfDelivery, type LiveKeyRow } from './webhook-signing-keys.ts';

export async function insertEvent(db: Db, event: Insertable<Schema['webhook_events']>): Promise<void> {
    await db.insertInto('webhook_events').values(event).execute();
}

export async function insertDeliveries(
    db: Db,
    rows: Pick<
        Insertable<Schema['webhook_deliveries']>,
        'id' | 'event_id' | 'environment_id' | 'destination' | 'url' | 'state' | 'next_attempt_at' | 'created_at'
    >[],
): Promise<void> {
    const unset = { lease_owner: null, lease_until: null, last_status: null, last_error: null, settled_at: null };
    await db
        .insertInto('webhook_deliveries')
        .values(rows.map((row) => ({ ...row, ...unset })))
        .execute();
}

export interface DueDelivery extends Pick<
    WebhookDeliveryRow,
    'id' | 'event_id' | 'environment_id' | 'destination' | 'url' | 'attempts' | 'lease_epoch'
> {
    body: string;
    post_connection_status: PostConnectionStatus | null;
    event_created_at: Date;
    /** Newest first. */
    signing_keys: LiveKeyRow[];
}

/** A claimed delivery with what is signed and the keys that sign it now: read each time, so that a rotation holds everywhere at once (W6). */
export async function loadDelivery(db: Db, id: string, now: Date): Promise<DueDelivery | undefined> {
    return db
        .selectFrom('webhook_deliveries as d')
        .innerJoin('webhook_events as e', 'e.id', 'd.event_id')
        .select([
            'd.id',
            'd.event_id',
            'd.environment_id',
            'd.destination',
            'd.url',
            'd.attempts',
            'd.lease_epoch',
            'e.body',
            'e.post_connection_status',
        ])
        .select('e.created_at as event_created_at')
        .select((from) => liveKeysOfDelivery(from, now).as('signing_keys'))
        .where('d.id', '=', id)
        .executeTakeFirst();
}

export interface AttemptOutcome {
    state: WebhookDeliveryRow['state'];
    status: number | null;
    error: string | null;
    nextAttemptAt: Date | null;
    at: Date;
}

/** Ends the lease with the attempt's outcome. Fenced: an attempt that outlived its lease writes nothing. */
export async function recordAttempt(db: Db, delivery: Pick<DueDelivery, 'id' | 'attempts' | 'lease_epoch'>, outcome: AttemptOutcome): Promise<void> {
    await db
        .updateTable('webhook_deliveries')
        .set({
            state: outcome.state,
            attempts: delivery.attempts + 1,
            next_attempt_at: outcome.nextAttemptAt,
            lease_owner: null,
            lease_until: null,
            last_status: outcome.status,
            last_error: outcome.error,
            settled_at: outcome.state === 'pending' ? null : outcome.at,
        })
        .where('id', '=', delivery.id)
        .where('lease_epoch', '=', delivery.lease_epoch)
        .execute();
}

/** W8: a receiver that answers 410 is gone until its URL is written anew; what waits for it is not sent. */
export async function disableDestination(
    db: Kysely<Schema>,
    gone: Pick<DueDelivery, 'environment_id' | 'url'> & { destination: 'primary' | 'secondary' },
    reason: string,
    at: Date,
): Promise<void> {
    await db.transaction().execute(async (transaction) => {
        const result = await transaction
            .updateTable('webhook_settings')
            .set({ [`${gone.destination}_disabled_reason`]: reason })
            .where('environment_id', '=', gone.environment_id)
            .where(sql.ref(`${gone.destination}_url`), '=', gone.url)
            .executeTakeFirst();
        if (result.numUpdatedRows === 0n) {
            return;
        }
        await transaction
            .updateTable('webhook_deliveries')
            .set({ state: 'dead', next_attempt_at: null, last_error: 'destination_disabled', settled_at: at })
            .where('environment_id', '=', gone.environment_id)
            .where('destination', '=', gone.destination)
            .where('url', '=', gone.url)
            .where('state', '=', 'pending')
            // What is being sent right now hears the 410 itself.
            .where((row) => row.or([row('lease_until', 'is', null), row('lease_until', '<', at)]))
            .execute();
    });
}
