/**
 * Who listens to the operation log (O2: server-sent events), and what they get.
 *
 * One loop per process, and only while somebody listens: it asks once a second how far the log can be read (one statement or two), and
 * then for the changes of each environment that is listened to. Streams at the same place share a read; one that resumes reads its
 * own pages until it is where the others are. A reader that does not take what it was sent is not read for: its place waits, so nothing
 * is buffered for it, and after half a minute it is dropped. It can resume where it was.
 */
import { Readable } from 'node:stream';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';
import { changesAfter, type Changes, type Place } from '../store/operation-changes.ts';
import type { ListedOperation } from '../store/operation-listing.ts';
import type { Schema } from '../store/schema.ts';
import { readHorizon, type Horizon } from '../store/transaction-horizon.ts';
import { operationView } from './endpoints/logs/log-view.ts';

/** Of an environment, in one process. */
export const mostStreams = 10;
const pollMs = 1_000;
const heartbeatMs = 15_000;
const checkKeyMs = 60_000;
const patienceMs = 30_000;
/** How long shutdown waits for readers to take the end. */
const farewellMs = 1_000;
const pageSize = 200;
/** What may wait for a slow reader in this process, and a page's row more. */
const bufferBytes = 64 * 1024;
/** How soon a browser comes back. */
const comeBackMs = 2_000;

export interface Listener {
    environmentId: string;
    /** Where to go on; absent: what changes from now on. */
    cursor: string | undefined;
    wants(operation: ListedOperation): boolean;
    /** Whether its key still opens this stream. Rejects where that cannot be told. */
    isAllowed(): Promise<boolean>;
}

/** The last one that was read, of the transaction that wrote it. */
export const cursorPattern = /^\d{1,19}(\.[0-9a-z_]{1,50})?$/;
const cursorOf = ({ xid, id }: Place): string => (id === '' ? String(xid) : `${xid}.${id}`);

function placeOf(cursor: string): Place {
    const [xid, id = ''] = cursor.split('.');
    return { xid: BigInt(xid!), id };
}

export class OperationStreams {
    readonly #dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger };
    readonly #streams = new Set<OperationStream>();
    readonly #stopping = new AbortController();
    #loop: Promise<void> | undefined;

    constructor(dependencies: { db: Kysely<Schema>; sources: Sources; logger: Logger }) {
        this.#dependencies = dependencies;
    }

    /** @returns why there is none: too many listen already, or the cursor is not one of this database's. */
    async open(listener: Listener): Promise<Readable | 'too_many_streams' | 'unknown_cursor'> {
        const { db, sources } = this.#dependencies;
        if ([...this.#streams].filter((each) => each.listener.environmentId === listener.environmentId).length >= mostStreams) {
            return 'too_many_streams';
        }
        const stream = new OperationStream(listener, () => sources.now());
        this.#streams.add(stream);
        stream.once('close', () => this.#streams.delete(stream));
        try {
            const horizon = await readHorizon(db);
            const place = listener.cursor === undefined ? { xid: horizon.xid, id: '' } : placeOf(listener.cursor);
            if (place.xid > horizon.next) {
                stream.destroy();
                return 'unknown_cursor';
            }
            stream.begin(place);
        } catch (error) {
            stream.destroy();
            throw error;
        }
        if (this.#stopping.signal.aborted) {
            stream.end();
        }
        this.#loop ??= this.#run();
        return stream;
    }

    async stop(): Promise<void> {
        this.#stopping.abort();
        const open = [...this.#streams];
        const closed = Promise.all(open.map((stream) => new Promise((resolve) => stream.once('close', resolve))));
        open.forEach((stream) => stream.end());
        const patience = new AbortController();
        await Promise.race([closed, this.#dependencies.sources.sleep(farewellMs, patience.signal).catch(() => {})]);
        patience.abort();
        // The server's own close waits for every answer: one that nobody reads must not hold it.
        open.forEach((stream) => stream.destroy());
        await this.#loop;
    }

    async #run(): Promise<void> {
        const { sources, logger } = this.#dependencies;
        while (this.#streams.size > 0 && !this.#stopping.signal.aborted) {
            await sources.sleep(pollMs, this.#stopping.signal).catch(() => {});
            try {
                await this.#look();
            } catch (error) {
                logger.error({ err: error }, 'changes of the operation log could not be looked up');
            }
            this.#streams.forEach((stream) => stream.keepUp());
        }
        this.#loop = undefined;
    }

    async #look(): Promise<void> {
        const horizon = await readHorizon(this.#dependencies.db);
        let behind: OperationStream[];
        while ((behind = [...this.#streams].filter((stream) => stream.isBehind(horizon))).length > 0 && !this.#stopping.signal.aborted) {
            const places = Map.groupBy(behind, ({ listener, place }) => `${listener.environmentId} ${cursorOf(place!)}`);
            for (const streams of places.values()) {
                await this.#read(streams, horizon);
            }
        }
    }

    /** The next page of streams that are at one place. */
    async #read(streams: readonly OperationStream[], horizon: Horizon): Promise<void> {
        const { listener, place } = streams[0]!;
        const changes = await changesAfter(this.#dependencies.db, listener.environmentId, place!, horizon, pageSize);
        const events = changes.operations.map((operation) => ({
            operation,
            text: `id: ${cursorOf(operation.place)}\nevent: operation\ndata: ${JSON.stringify(operationView(operation))}\n\n`,
        }));
        streams.forEach((stream) => stream.receive(events, changes.end));
    }
}

interface Event {
    operation: Changes['operations'][number];
    text: string;
}

class OperationStream extends Readable {
    readonly listener: Listener;
    readonly #now: () => number;
    /** Unknown until it begins. */
    place: Place | undefined;
    /** Whether the reader has room. */
    #hasRoom = true;
    #isEnded = false;
    #lastSent: number;
    #lastRoom: number;
    #keyChecked: number;

    constructor(listener: Listener, now: () => number) {
        super({ highWaterMark: bufferBytes });
        this.listener = listener;
        this.#now = now;
        this.#lastSent = this.#lastRoom = this.#keyChecked = now();
    }

    override _read(): void {
        this.#hasRoom = true;
    }

    /** Tells the place at once: whoever is cut off before the first change resumes there. */
    begin(place: Place): void {
        this.place = place;
        this.#send(`retry: ${comeBackMs}\nid: ${cursorOf(place)}\n\n`);
    }

    isBehind({ xid }: Horizon): boolean {
        return this.place !== undefined && this.place.xid < xid && this.#isReading();
    }

    /** As much of a page as there is room for. @param end where it ends */
    receive(events: readonly Event[], end: Place): void {
        for (const { operation, text } of events) {
            if (!this.#isReading()) {
                return;
            }
            this.place = operation.place;
            if (this.listener.wants(operation)) {
                this.#send(text);
            }
        }
        if (this.#isReading()) {
            this.place = end;
        }
    }

    keepUp(): void {
        const now = this.#now();
        if (this.#hasRoom) {
            this.#lastRoom = now;
        } else if (now - this.#lastRoom >= patienceMs) {
            this.destroy();
            return;
        }
        if (this.#isReading() && this.place !== undefined && now - this.#lastSent >= heartbeatMs) {
            // With its place: what is filtered out is not read again by one that resumes.
            this.#send(`: nothing new\nid: ${cursorOf(this.place)}\n\n`);
        }
        if (now - this.#keyChecked >= checkKeyMs) {
            this.#keyChecked = now;
            this.listener.isAllowed().then(
                (isAllowed) => isAllowed || this.end(),
                () => {},
            );
        }
    }

    end(): void {
        if (!this.#isEnded) {
            this.#isEnded = true;
            this.push(null);
        }
    }

    #isReading(): boolean {
        return this.#hasRoom && !this.#isEnded && !this.destroyed;
    }

    #send(text: string): void {
        this.#lastSent = this.#now();
        this.#hasRoom = this.push(text);
    }
}
