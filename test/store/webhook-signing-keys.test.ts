/** Which keys sign a delivery, on both dialects (W6). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as outbox from '../../src/store/webhook-outbox.ts';
import * as keys from '../../src/store/webhook-signing-keys.ts';
import { dialects, type TestStore } from './dialects.ts';
import { after, insertDelivery, insertEnvironment, madeAt, newId } from './rows.ts';

describe.each(dialects)('webhook signing keys ($name)', ({ open }) => {
    let store: TestStore;
    let environmentId: string;
    beforeAll(async () => {
        store = await open();
    });
    afterAll(() => store.close());
    beforeEach(async () => {
        await store.empty();
        environmentId = await insertEnvironment(store.database.db);
    });

    async function insertKey(
        state: 'active' | 'retiring' | 'revoked',
        retiresAt: Date | null = null,
        createdAt = madeAt,
        of = environmentId,
    ): Promise<string> {
        const id = newId();
        await store.database.db
            .insertInto('webhook_signing_keys')
            .values({
                id,
                environment_id: of,
                state,
                sealed_keys: state === 'revoked' ? null : `sealed-${state}`,
                created_at: createdAt,
                retires_at: retiresAt,
            })
            .execute();
        return id;
    }
    const signers = async (now: Date): Promise<string[]> => {
        const delivery = await insertDelivery(store.database.db, environmentId, 'https://hooks.example.com/', madeAt);
        return (await outbox.loadDelivery(store.database.db, delivery, now))!.signing_keys.map(({ id }) => id);
    };

    test('a delivery comes with the live keys of its environment, the active one first, then the newest', async () => {
        const older = await insertKey('retiring', after(2000), after(-2000));
        const newer = await insertKey('retiring', after(1000), after(-1000));
        const active = await insertKey('active');
        await insertKey('revoked', after(5000));
        await insertKey('active', null, madeAt, await insertEnvironment(store.database.db));
        expect(await signers(after(999))).toEqual([active, newer, older]);
        expect(await signers(after(1000))).toEqual([active, older]);
        expect(await signers(after(2000))).toEqual([active]);
        expect((await keys.list(store.database.db, keys.environmentKeys(environmentId))).map(({ state }) => state).slice(0, 1)).toEqual(['active']);
    });

    test('a delivery of an environment without keys comes with none', async () => {
        expect(await signers(madeAt)).toEqual([]);
    });

    test('there is never a second active key, nor a second for the legacy headers', async () => {
        const { db } = store.database;
        const [one, two] = [await insertKey('retiring', after(1000)), await insertKey('retiring', after(1000))];
        await insertKey('active');
        await expect(insertKey('active')).rejects.toThrow();
        await keys.signLegacyWith(db, one, after(1));
        await expect(keys.signLegacyWith(db, two, after(1))).rejects.toThrow();
    });

    test('keys past their time are marked and shredded, here or everywhere', async () => {
        const { db } = store.database;
        const elsewhere = await insertEnvironment(db);
        await insertKey('retiring', after(1000));
        await insertKey('retiring', after(3000));
        await insertKey('retiring', after(1000), madeAt, elsewhere);
        expect(await keys.revokeExpired(db, after(2000), keys.environmentKeys(environmentId))).toBe(1);
        expect(await keys.revokeExpired(db, after(2000))).toBe(1);
        const rows = await db.selectFrom('webhook_signing_keys').select(['state', 'sealed_keys', 'retires_at']).orderBy('retires_at').execute();
        expect(rows.map(({ state, sealed_keys: sealed }) => [state, sealed])).toEqual([
            ['revoked', null],
            ['revoked', null],
            ['retiring', 'sealed-retiring'],
        ]);
    });
});
