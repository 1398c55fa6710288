/** Token endpoints in trouble (R10): what opens a host, for how long, who may find out, and what closes it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newRowId, systemSources } from '../../src/sources.ts';
import type { TokenHostRow } from '../../src/store/schema.ts';
import * as hosts from '../../src/store/token-hosts.ts';
import { dialects, type TestStore } from './dialects.ts';

const second = 1000;
const t0 = Date.UTC(2026, 0, 1);
const connections = Array.from({ length: 10 }, () => newRowId(systemSources));

describe.each(dialects)('token hosts ($name)', ({ open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(() => store.empty());

    const fail = (at: number, connection: number, slowUntil: number | null = null): Promise<TokenHostRow | undefined> =>
        hosts.recordFailure(store.database.db, {
            host: 'h',
            connectionRowId: connections[connection]!,
            now: new Date(t0 + at),
            since: new Date(t0 + at - 60 * second),
            slowUntil: slowUntil === null ? null : new Date(t0 + slowUntil),
            threshold: 3,
            coolDownMs: 30 * second,
            longestCoolDownMs: 100 * second,
        });
    const openUntil = async (): Promise<number | undefined> => {
        const at = (await hosts.troubled(store.database.db))[0]?.open_until;
        return at ? at.getTime() - t0 : undefined;
    };
    const probe = (at: number): Promise<boolean> => hosts.beginProbe(store.database.db, 'h', new Date(t0 + at), new Date(t0 + at + 45 * second));
    const opened = async (): Promise<void> => {
        for (const connection of [0, 1, 2]) await fail(0, connection);
    };

    test('several connections that fail in a row open it; one that fails often does not', async () => {
        for (let times = 0; times < 10; times += 1) await fail(times * second, 0);
        await fail(0, 1);
        expect(await openUntil()).toBeUndefined();
        expect(await fail(10 * second, 2)).toMatchObject({ openings: 1, opened_at: new Date(t0 + 10 * second) });
        expect(await openUntil()).toBe(40 * second);
    });

    test('failures far apart do not add up', async () => {
        for (const connection of [0, 1, 2, 3]) await fail(connection * 61 * second, connection);
        expect(await openUntil()).toBeUndefined();
    });

    test('a failure of a call that was under way when it opened changes nothing', async () => {
        await opened();
        await fail(5 * second, 7);
        expect(await openUntil()).toBe(30 * second);
    });

    test('one process at a time finds out; its failure opens for twice as long, up to the longest', async () => {
        await opened();
        expect(await probe(29 * second)).toBe(false);
        expect([await probe(30 * second), await probe(31 * second)]).toEqual([true, false]);
        await fail(32 * second, 5);
        expect(await openUntil()).toBe(92 * second);
        // also long after the window in which failures add up
        await fail(600 * second, 5);
        expect(await openUntil()).toBe(700 * second);
    });

    test('a process that vanished with its probe does not keep it', async () => {
        await opened();
        expect([await probe(30 * second), await probe(75 * second)]).toEqual([true, true]);
        await hosts.endProbe(store.database.db, 'h');
        expect(await probe(76 * second)).toBe(true);
    });

    test('an answer closes it, and what it has asked for stays', async () => {
        await opened();
        expect(await hosts.recordAnswer(store.database.db, 'h', new Date(t0 + second))).toBe(true);
        expect(await hosts.troubled(store.database.db)).toEqual([]);
        expect(await hosts.recordAnswer(store.database.db, 'h', new Date(t0 + second))).toBe(false);

        for (const connection of [0, 1, 2]) await fail(0, connection, 50 * second);
        expect(await hosts.recordAnswer(store.database.db, 'h', new Date(t0 + second))).toBe(true);
        expect(await hosts.troubled(store.database.db)).toMatchObject([
            { failing: [], open_until: null, openings: 0, slow_until: new Date(t0 + 50 * second) },
        ]);
    });
});
