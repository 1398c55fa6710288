/**
 * The one work queue: rows that fall due are claimed with a lease by any replica, at most one at a time.
 *
 * Postgres is the coordinator. `for update skip locked` lets claimers pass each other; the lease outlives the statement, so
 * no transaction stays open while the work waits for the network; the epoch is a fencing number: whoever was overtaken
 * writes nothing. Used for renewals (`connections`), webhook deliveries
 * (`webhook_deliveries`) and unfinished hooks (`post_connection_hooks`).
 */
import { sql, type Kysely } from 'kysely';
import { randomFraction, type Sources } from '../sources.ts';
import { claimInTurns } from './fair-claim.ts';
import type { Schema } from './schema.ts';

export interface Queue {
    table: string;
    due: string;
    owner: string;
    until: string;
    epoch: string;
    /** Work of one group shares a concurrency cap, so that a slow one cannot take every slot. */
    group: string;
    /** SQL that a claimable row satisfies. */
    condition: string;
    /** SQL for the moment a lease is over; may be later than `until`. */
    leaseOver: string;
    /** There are few groups, and an index by group and due time: groups take turns. Otherwise the longest overdue come first. */
    takesTurns?: boolean;
}

export const refreshQueue: Queue = {
    table: 'connections',
    due: 'next_refresh_at',
    owner: 'refresh_lease_owner',
    until: 'refresh_lease_until',
    epoch: 'refresh_epoch',
    group: 'provider',
    condition: 'deleted_at is null and next_refresh_at is not null',
    // A holder that vanished during its token call may be alive and about to write: its row rests longer (R2).
    leaseOver: `refresh_lease_until + case when refresh_intent is null then interval '0' else interval '30 seconds' end`,
    takesTurns: true,
};

export const deliveryQueue: Queue = {
    table: 'webhook_deliveries',
    due: 'next_attempt_at',
    owner: 'lease_owner',
    until: 'lease_until',
    epoch: 'lease_epoch',
    group: 'url',
    // W12, best effort: an event is not begun while an older one of its connection is within its first three attempts at the same
    // receiver. Found in `webhook_deliveries_first_attempts`, which holds such rows only. Events without a connection wait for nobody.
    condition: `state = 'pending' and not exists (
        select from webhook_deliveries older
        where older.connection_row_id = webhook_deliveries.connection_row_id and older.sequence < webhook_deliveries.sequence
          and older.state = 'pending' and older.attempts < 3 and older.url = webhook_deliveries.url)`,
    leaseOver: 'lease_until',
};

export const hookQueue: Queue = {
    table: 'post_connection_hooks',
    due: 'due_at',
    owner: 'lease_owner',
    until: 'lease_until',
    epoch: 'lease_epoch',
    group: 'provider',
    condition: `state = 'pending'`,
    leaseOver: 'lease_until',
};

export interface Claim {
    owner: string;
    now: number;
    leaseMs: number;
    /** Slots that are free. */
    limit: number;
    /** Rows of one group that may be worked on at once by this process, and how many are now. */
    groupLimit: number;
    busyGroups: Readonly<Record<string, number>>;
    /**
     * Where groups take turns: a group may hold this many slots for each that stays free. Alone it gets most of them, and with
     * several that are slow something is left for the next.
     */
    perFreeSlot?: number;
}

export interface ClaimedRow {
    id: string;
    epoch: number;
    group: string;
}

/** Rows looked at per claim; more than `limit`, so that a group near its cap does not hide the others. Groups at it are left out. */
const window = 100;

export const claimDue = (db: Kysely<Schema>, queue: Queue, claim: Claim): Promise<ClaimedRow[]> =>
    queue.takesTurns ? claimInTurns(db, queue, claim) : claimOldest(db, queue, claim);

async function claimOldest(db: Kysely<Schema>, queue: Queue, claim: Claim): Promise<ClaimedRow[]> {
    const [table, due, group] = [sql.table(queue.table), sql.ref(queue.due), sql.ref(queue.group)];
    const now = new Date(claim.now);
    const slots = sql`(${claim.groupLimit}::int - coalesce((${JSON.stringify(claim.busyGroups)}::jsonb ->> ${group})::int, 0))`;
    const { rows } = await sql<ClaimedRow>`
        with due as (
            select id, ${group} as grp, ${due} as at, ${slots} as slots from ${table}
            where ${sql.raw(queue.condition)} and ${due} <= ${now} and ${slots} > 0
              and (${sql.ref(queue.until)} is null or ${sql.raw(queue.leaseOver)} < ${now})
            order by ${due} limit ${sql.lit(window)} for update skip locked
        ), ranked as (
            select id, at, slots, row_number() over (partition by grp order by at) as place from due
        ), chosen as (
            select id from ranked where place <= slots order by at limit ${claim.limit}
        )
        update ${table} as work
        set ${sql.ref(queue.owner)} = ${claim.owner}, ${sql.ref(queue.until)} = ${new Date(claim.now + claim.leaseMs)},
            ${sql.ref(queue.epoch)} = work.${sql.ref(queue.epoch)} + 1
        from chosen where work.id = chosen.id
        returning work.id, work.${sql.ref(queue.epoch)} as epoch, work.${group} as "group"`.execute(db);
    return rows;
}

export interface LeasedWorkerOptions<Item extends ClaimedRow> {
    sources: Sources;
    /** Most items worked on at once by this process. */
    concurrency: number;
    /** Pause between looks when nothing is due, in milliseconds; spread by ±20 %. */
    pollMs: number;
    /**
     * Slots that come free are filled together: so many, or what there is after so long. For work of which there is much: a claim
     * costs about the same for one row and for many. Default: each at once.
     */
    gather?: { slots: number; ms: number };
    claim(limit: number, busyGroups: Readonly<Record<string, number>>): Promise<Item[]>;
    /** Must not reject; a failure is an outcome that it writes itself. */
    work(item: Item): Promise<void>;
    onError(error: unknown): void;
}

/** Claims and works until stopped. Polling is the truth; `wake` only makes the next look come sooner. */
export class LeasedWorker<Item extends ClaimedRow = ClaimedRow> {
    readonly #options: LeasedWorkerOptions<Item>;
    readonly #active = new Set<Promise<void>>();
    readonly #busy: Record<string, number> = {};
    #stopping = false;
    #wake: (() => void) | undefined;
    #isWoken = false;
    /** Slots that came free since the last look. */
    #freed = 0;
    #gathering: Promise<void> | undefined;
    #loop: Promise<void> | undefined;

    constructor(options: LeasedWorkerOptions<Item>) {
        this.#options = options;
    }

    start(): void {
        this.#loop ??= this.#run();
    }

    wake(): void {
        this.#isWoken = true;
        this.#wake?.();
    }

    /** How many items are at work. */
    get busy(): number {
        return this.#active.size;
    }

    /** Claims nothing more and waits for what is under way. */
    async stop(): Promise<void> {
        this.#stopping = true;
        this.wake();
        await this.#loop;
        await Promise.all(this.#active);
    }

    async #run(): Promise<void> {
        const { concurrency, pollMs, gather, claim, onError, sources } = this.#options;
        while (!this.#stopping) {
            this.#isWoken = false;
            this.#freed = 0;
            const free = concurrency - this.#active.size;
            let claimed = 0;
            if (free > 0) {
                try {
                    const items = await claim(free, this.#busy);
                    claimed = items.length;
                    items.forEach((item) => this.#begin(item));
                } catch (error) {
                    onError(error);
                }
            }
            // Otherwise more may be due: the next look comes at once. Rest until the poll, a hint, or a slot that comes free.
            if (claimed === 0 || this.#active.size >= concurrency) {
                await this.#rest(pollMs * (0.8 + 0.4 * randomFraction(sources)));
            } else if (gather !== undefined && claimed < free) {
                // Less than there was room for: there may be more, but hardly at once.
                await this.#rest(gather.ms);
            }
        }
    }

    #begin(item: Item): void {
        this.#busy[item.group] = (this.#busy[item.group] ?? 0) + 1;
        const running = this.#options
            .work(item)
            .catch((error: unknown) => this.#options.onError(error))
            .finally(() => {
                this.#active.delete(running);
                this.#busy[item.group]! -= 1;
                if (this.#busy[item.group] === 0) {
                    delete this.#busy[item.group];
                }
                this.#slotFreed();
            });
        this.#active.add(running);
    }

    #slotFreed(): void {
        const { gather, sources } = this.#options;
        this.#freed += 1;
        if (gather === undefined || this.#freed >= gather.slots) {
            this.wake();
            return;
        }
        this.#gathering ??= sources.sleep(gather.ms).finally(() => {
            this.#gathering = undefined;
            this.wake();
        });
    }

    async #rest(ms: number): Promise<void> {
        if (this.#isWoken || this.#stopping) {
            return;
        }
        const abort = new AbortController();
        await Promise.race([
            new Promise<void>((resolve) => {
                this.#wake = resolve;
            }),
            this.#options.sources.sleep(ms, abort.signal).catch(() => {}),
        ]);
        this.#wake = undefined;
        abort.abort('woken');
    }
}
