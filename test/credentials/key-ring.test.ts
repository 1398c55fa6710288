import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { StartupError, type RingKey } from '../../src/config.ts';
import { openVault, rotateDataKey } from '../../src/credentials/key-ring.ts';
import type { SealedPlace, Vault } from '../../src/credentials/vault.ts';
import { systemSources } from '../../src/sources.ts';
import * as dataKeys from '../../src/store/data-keys.ts';
import { dialects, openPostgresStore, type TestStore } from '../store/dialects.ts';

const newRingKey = (name: string): RingKey => ({ name, key: systemSources.random(32) });
const [first, second] = [newRingKey('first'), newRingKey('second')];
const place: SealedPlace = { environmentId: 'e1', table: 'connections', column: 'sealed_credentials', rowId: 'r1' };

describe.each(dialects)('the key ring ($name)', ({ open }) => {
    let store: TestStore;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(() => store.empty());

    const openWith = (...ring: RingKey[]): Promise<Vault> => openVault(store.database.db, ring, systemSources);
    const stored = () => dataKeys.list(store.database.db);
    const refusal = async (opening: Promise<unknown>): Promise<string> => {
        const error = await opening.then(
            () => undefined,
            (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(StartupError);
        return (error as Error).message;
    };

    test('the first start makes a data key and a pepper, wrapped', async () => {
        const vault = await openWith(first);
        const rows = await stored();
        expect(rows.map(({ purpose, is_current: isCurrent }) => [purpose, isCurrent]).toSorted()).toEqual([
            ['lookup', true],
            ['seal', true],
        ]);
        expect(rows.find((row) => row.purpose === 'seal')?.id).toBe(vault.currentKeyId);
        expect(JSON.stringify(rows)).not.toContain(first.key.toString('base64url'));
        expect(JSON.stringify(rows)).not.toContain(first.key.toString('base64'));
    });

    test('a later start uses them: values open, hashes match, nothing is written', async () => {
        const one = await openWith(first);
        const [sealed, hash, rows] = [one.seal('text', place), one.hash('token'), await stored()];
        const two = await openWith(first);
        expect(two.open(sealed, place)).toBe('text');
        expect(two.hash('token')).toBe(hash);
        expect(await stored()).toEqual(rows);
    });

    test('a wrong key is refused, and nothing is changed', async () => {
        await openWith(first);
        const rows = await stored();
        const message = await refusal(openWith(second));
        expect(message).toMatch(/VALETKEY_ENCRYPTION_KEY.*No key and no secret was changed/);
        expect(message).not.toContain(second.key.toString('base64'));
        expect(await stored()).toEqual(rows);
        await openWith(first);
    });

    test('an empty ring is refused', async () => {
        expect(await refusal(openWith())).toContain('VALETKEY_ENCRYPTION_KEY holds no key');
    });

    test('a wrapped key that was tampered with is refused', async () => {
        await openWith(first);
        const [row, other] = await stored();
        const moved = { ...row!, wrapped: row!.wrapped };
        await dataKeys.rewrap(store.database.db, moved, other!.wrapped);
        expect(await refusal(openWith(first))).toContain('VALETKEY_ENCRYPTION_KEY');
    });

    test('a new key in front of the ring re-wraps, and everything still opens', async () => {
        const before = await openWith(first);
        const [sealed, hash] = [before.seal('text', place), before.hash('token')];

        const rolling = await openWith(second, first);
        expect(rolling.open(sealed, place)).toBe('text');
        expect(rolling.hash('token')).toBe(hash);
        expect(before.open(rolling.seal('new', place), place)).toBe('new');

        const afterwards = await openWith(second);
        expect(afterwards.open(sealed, place)).toBe('text');
        expect(afterwards.hash('token')).toBe(hash);
        expect(await refusal(openWith(first))).toContain('VALETKEY_ENCRYPTION_KEY');
    });

    test('the order of the ring decides which key wraps: a replica that still has the old one in front does not lock out', async () => {
        await openWith(first);
        await openWith(second, first);
        await openWith(first, second);
        await openWith(first);
        expect(await refusal(openWith(second))).toContain('VALETKEY_ENCRYPTION_KEY');
    });

    test('a rotated data key seals what is new, in vaults opened before it once they have met it', async () => {
        const behind = await openWith(first);
        const old = behind.seal('old', place);
        await rotateDataKey(store.database.db, [first], systemSources);
        const ahead = await openWith(first);
        expect(ahead.currentKeyId).not.toBe(behind.currentKeyId);
        expect(ahead.open(old, place)).toBe('old');

        const fresh = ahead.seal('new', place);
        expect(() => behind.open(fresh, place)).toThrow('unknown_key');
        expect(await behind.openFresh(fresh, place)).toBe('new');
        expect(behind.currentKeyId).toBe(ahead.currentKeyId);
        expect(behind.open(old, place)).toBe('old');
        expect((await stored()).filter((row) => row.purpose === 'seal' && row.is_current)).toHaveLength(1);
    });
});

// Not on the embedded dialect, which serves one process.
describe('replicas that start together on an empty database', () => {
    let store: TestStore;
    beforeAll(async () => {
        store = await openPostgresStore();
    });
    afterAll(() => store.close());
    beforeEach(() => store.empty());

    test('agree on the keys', async () => {
        const vaults = await Promise.all(Array.from({ length: 8 }, () => openVault(store.database.db, [first], systemSources)));
        const sealed = vaults.map((vault) => vault.seal('text', place));
        for (const vault of vaults) {
            expect(sealed.map((value) => vault.open(value, place))).toEqual(sealed.map(() => 'text'));
            expect(vault.hash('token')).toBe(vaults[0]!.hash('token'));
        }
        expect(await dataKeys.list(store.database.db)).toHaveLength(2);
    });

    test('and were given different keys: one wins whole, the other is refused', async () => {
        for (let round = 0; round < 20; round += 1) {
            await store.empty();
            const openings = await Promise.allSettled([first, second].map((key) => openVault(store.database.db, [key], systemSources)));
            expect(openings.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
        }
    });
});
