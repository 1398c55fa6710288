/** What a stream of operations costs where it is not read, and where nobody listens. */
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OperationStreams, type Listener } from '../../src/http/operation-streams.ts';
import * as operations from '../../src/store/operations.ts';
import { openPostgresStore, type TestStore } from '../store/dialects.ts';
import { insertEnvironment, madeAt } from '../store/rows.ts';
import { virtualSources, type VirtualSources } from '../virtual-sources.ts';
import type { Readable } from 'node:stream';

let store: TestStore;
let sources: VirtualSources;
let streams: OperationStreams;
let listener: Listener;

beforeAll(async () => {
    store = await openPostgresStore();
    sources = virtualSources(madeAt.getTime());
    streams = new OperationStreams({ db: store.database.db, sources, logger: pino({ level: 'silent' }) });
    listener = {
        environmentId: await insertEnvironment(store.database.db),
        cursor: undefined,
        wants: () => true,
        isAllowed: () => Promise.resolve(true),
    };
});
afterAll(async () => {
    await streams.stop();
    await store.close();
});

/** 1.5 kB each. */
async function write(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
        const id = `${madeAt.getTime()}_${operationNumber++}`;
        await operations.open(store.database.db, {
            id,
            environment_id: listener.environmentId,
            type: 'auth',
            action: 'create_connection',
            state: 'waiting',
            level: 'info',
            message: 'x'.repeat(1_000),
            integration_id: null,
            connection_row_id: null,
            connection_id: null,
            error: null,
            meta: null,
            created_at: madeAt,
            ended_at: null,
            expires_at: null,
        });
    }
}
let operationNumber = 1000;

const isResting = async (): Promise<void> => {
    await expect.poll(() => sources.sleeping().length, { timeout: 10_000 }).toBe(1);
};

/** Lets the loop look once. */
async function look(ms = 1_000): Promise<void> {
    await isResting();
    await sources.advance(ms);
    await isResting();
}

const idsOf = (text: string): string[] => [...text.matchAll(/"id":"(\d+_\d+)"/g)].map(([, id]) => id!);

test('a reader that reads nothing is not read for, goes on where it was when it does, and is dropped when it does not', async () => {
    const patient = (await streams.open(listener)) as Readable;
    const lazy = (await streams.open(listener)) as Readable;
    const read: string[] = [];
    patient.setEncoding('utf8').on('data', (text: string) => read.push(...idsOf(text)));
    await write(300);
    await look();
    await look();
    expect(read).toHaveLength(300);
    // One row more than fits.
    expect(lazy.readableLength).toBeLessThan(70_000);

    let late = '';
    lazy.setEncoding('utf8').on('data', (text: string) => (late += text));
    await look();
    await look();
    expect(idsOf(late)).toEqual(read);

    lazy.pause();
    await write(300);
    await look();
    await look(28_000);
    expect(lazy.destroyed).toBe(false);
    await look();
    await look();
    expect(lazy.destroyed).toBe(true);
    expect(read).toHaveLength(600);
    patient.destroy();
});

test('when the last has left nothing is looked at any more, until somebody comes', async () => {
    const stream = (await streams.open(listener)) as Readable;
    await isResting();
    stream.destroy();
    await sources.advance(1_000);
    await expect.poll(() => sources.sleeping().length).toBe(0);
    const again = (await streams.open(listener)) as Readable;
    await isResting();
    again.destroy();
});
