import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Vault, VaultError, equalInConstantTime, type DataKey, type SealedPlace } from '../../src/credentials/vault.ts';
import { systemSources } from '../../src/sources.ts';

interface Keys {
    seal: DataKey[];
    lookup: DataKey[];
}

const newKey = (id: string, isCurrent = true): DataKey => ({ id, key: systemSources.random(32), isCurrent });
const firstKeys: Keys = { seal: [newKey('k1')], lookup: [newKey('p1')] };
const noReload = (): Promise<Keys> => Promise.reject(new Error('not expected to look again'));
const newVault = (keys = firstKeys, reload: () => Promise<Keys> = noReload): Vault => new Vault(systemSources, keys, reload);

const place: SealedPlace = { environmentId: 'e1', table: 'connections', column: 'sealed_credentials', rowId: 'r1' };
const vault = newVault();

function refusal(open: () => unknown): VaultError {
    try {
        open();
    } catch (error) {
        expect(error).toBeInstanceOf(VaultError);
        return error as VaultError;
    }
    throw new Error('it opened');
}

describe('seal and open', () => {
    test('give back every text', () => {
        // Lone surrogates are no text: UTF-8 has no form for them.
        const texts = fc.oneof(
            fc.string({ unit: 'grapheme' }),
            fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
        );
        fc.assert(fc.property(texts, (text) => vault.open(vault.seal(text, place), place) === text));
    });

    test.each(['', ' ', 'x'.repeat(100_000), '🔑\u0000\n"', 'v1.k1.a.b.c'])('give back %j', (text) => {
        expect(vault.open(vault.seal(text, place), place)).toBe(text);
    });

    test('give back every JSON value', () => {
        fc.assert(
            fc.property(fc.jsonValue(), (value) => {
                expect(vault.openJson(vault.sealJson(value, place), place)).toEqual(JSON.parse(JSON.stringify(value)));
            }),
        );
    });

    test('make v1.<key>.<iv>.<ciphertext>.<tag> in base64url, never twice the same, never showing the text', () => {
        const [one, two] = [vault.seal('hunter2-hunter2', place), vault.seal('hunter2-hunter2', place)];
        expect(one).toMatch(/^v1\.k1\.[\w-]{16}\.[\w-]{20}\.[\w-]{22}$/);
        expect(one).not.toBe(two);
        expect(one.split('.').map((part) => Buffer.from(part, 'base64url').toString())).not.toContain('hunter2-hunter2');
    });
});

describe('the place is authenticated (E1)', () => {
    const others = fc.constantFrom<keyof SealedPlace>('environmentId', 'table', 'column', 'rowId');

    test('a value does not open under another environment, table, column or row', () => {
        const name = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
        fc.assert(
            fc.property(others, name, fc.string(), (field, value, text) => {
                fc.pre(value !== place[field]);
                const moved = { ...place, [field]: value };
                const error = refusal(() => vault.open(vault.seal(text, place), moved));
                expect(error.code).toBe('seal_broken');
            }),
        );
    });

    test('values swapped between two rows do not open', () => {
        const [here, there] = [place, { ...place, rowId: 'r2' }];
        const [mine, theirs] = [vault.seal('mine', here), vault.seal('theirs', there)];
        expect(refusal(() => vault.open(theirs, here)).code).toBe('seal_broken');
        expect(refusal(() => vault.open(mine, there)).code).toBe('seal_broken');
    });

    test('a value does not open under the name of another key', () => {
        const both = newVault({ seal: [newKey('k1'), newKey('k2', false)], lookup: firstKeys.lookup });
        const sealed = both.seal('text', place).replace('v1.k1.', 'v1.k2.');
        expect(refusal(() => both.open(sealed, place)).code).toBe('seal_broken');
    });
});

describe('what is not a sealed value', () => {
    test.each([
        '',
        'plain text',
        '{"type":"OAUTH2"}',
        'v1',
        'v1.k1',
        'v1.k1.iv.ct',
        'v1.k1..ct.tag',
        'v1..iv.ct.tag',
        'v1.k1.iv.ct.',
        'v1.k1.iv.ct.tag.more',
        'v2.k1.iv.ct.tag',
    ])('%j is malformed', (sealed) => {
        expect(refusal(() => vault.open(sealed, place)).code).toBe('malformed_seal');
    });

    test('a value of an unknown key is told from a broken one', () => {
        expect(refusal(() => vault.open(newVault({ ...firstKeys, seal: [newKey('k9')] }).seal('text', place), place)).code).toBe('unknown_key');
        expect(refusal(() => vault.open(newVault({ ...firstKeys, seal: [newKey('k1')] }).seal('text', place), place)).code).toBe('seal_broken');
    });

    test('a change of any part of a value breaks its seal', () => {
        const sealed = vault.seal('some text', place).split('.');
        fc.assert(
            fc.property(fc.constantFrom(2, 3, 4), fc.nat(), fc.integer({ min: 1, max: 255 }), (part, position, mask) => {
                const bytes = Buffer.from(sealed[part]!, 'base64url');
                const index = position % bytes.length;
                bytes.writeUInt8(bytes.readUInt8(index) ^ mask, index);
                const changed = sealed.with(part, bytes.toString('base64url')).join('.');
                expect(refusal(() => vault.open(changed, place)).code).toBe('seal_broken');
            }),
        );
    });

    test('a shortened tag or ciphertext breaks the seal', () => {
        const sealed = vault.seal('some text', place).split('.');
        for (const part of [2, 3, 4]) {
            const shorter = Buffer.from(sealed[part]!, 'base64url').subarray(0, 4).toString('base64url');
            expect(refusal(() => vault.open(sealed.with(part, shorter).join('.'), place)).code).toBe('seal_broken');
        }
    });

    test('an error names the column and nothing of the value', () => {
        const secret = 'hunter2-hunter2';
        const attempts = [secret, `v1.k1.${secret}.x.y`, `v1.${secret}.a.b.c`, vault.seal(secret, { ...place, rowId: 'r2' })];
        for (const sealed of attempts) {
            const error = refusal(() => vault.open(sealed, place));
            expect(error.place).toBe('connections.sealed_credentials');
            expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain(secret);
            expect(error.cause).toBeUndefined();
        }
    });
});

describe('data keys', () => {
    test('every key of the ring opens, the current one seals', () => {
        const [old, current] = [newKey('k1', false), newKey('k2')];
        const before = newVault({ seal: [{ ...old, isCurrent: true }], lookup: firstKeys.lookup });
        const afterwards = newVault({ seal: [old, current], lookup: firstKeys.lookup });
        expect(afterwards.open(before.seal('text', place), place)).toBe('text');
        expect(afterwards.seal('text', place)).toMatch(/^v1\.k2\./);
        expect(afterwards.currentKeyId).toBe('k2');
    });

    test('openFresh looks once for a key made meanwhile, and seals with it from then on', async () => {
        const next = newKey('k2');
        const grown: Keys = { seal: [{ ...firstKeys.seal[0]!, isCurrent: false }, next], lookup: firstKeys.lookup };
        let looks = 0;
        const behind = newVault(firstKeys, () => {
            looks += 1;
            return Promise.resolve(grown);
        });
        const old = behind.seal('old', place);
        expect(await behind.openFresh(old, place)).toBe('old');
        expect(looks).toBe(0);
        expect(await behind.openFresh(newVault(grown).seal('new', place), place)).toBe('new');
        expect([looks, behind.currentKeyId, behind.open(old, place)]).toEqual([1, 'k2', 'old']);
    });

    test('openFresh does not look again for a broken value, and only once for a key that is nowhere', async () => {
        let looks = 0;
        const alone = newVault(firstKeys, () => {
            looks += 1;
            return Promise.resolve(firstKeys);
        });
        await expect(alone.openFresh(alone.seal('text', { ...place, rowId: 'r2' }), place)).rejects.toMatchObject({ code: 'seal_broken' });
        expect(looks).toBe(0);
        await expect(alone.openFresh('v1.k9.aaaa.bbbb.cccc', place)).rejects.toMatchObject({ code: 'unknown_key' });
        expect(looks).toBe(1);
    });

    test('columns have keys of their own: equal plaintext, iv and place name do not give equal ciphertext', () => {
        const sources = { ...systemSources, random: (size: number) => Buffer.alloc(size, 7) };
        const fixed = new Vault(sources, firstKeys, noReload);
        const ciphertext = (where: SealedPlace): string => fixed.seal('text', where).split('.')[3]!;
        expect(ciphertext(place)).toBe(ciphertext({ ...place, rowId: 'r2' }));
        expect(ciphertext(place)).not.toBe(ciphertext({ ...place, column: 'sealed_secrets' }));
        expect(ciphertext(place)).not.toBe(ciphertext({ ...place, table: 'integrations' }));
    });

    test('a vault needs a current key and a pepper', () => {
        expect(() => newVault({ seal: [newKey('k1', false)], lookup: firstKeys.lookup })).toThrow('needs a current data key');
        expect(() => newVault({ seal: firstKeys.seal, lookup: [] })).toThrow('pepper');
    });
});

describe('lookup hashes', () => {
    test('are stable, name their pepper, and differ between values and peppers', () => {
        const two = newVault({ seal: firstKeys.seal, lookup: [newKey('p2'), { ...firstKeys.lookup[0]!, isCurrent: false }] });
        expect(vault.hash('token')).toMatch(/^p1\.[\w-]{43}$/);
        expect(vault.hash('token')).toBe(vault.hash('token'));
        expect(vault.hash('token')).not.toBe(vault.hash('tokem'));
        expect(two.hash('token')).toMatch(/^p2\./);
        expect(two.hashes('token')).toEqual([two.hash('token'), vault.hash('token')]);
    });

    test('do not show the value', () => {
        expect(vault.hash('hunter2-hunter2')).not.toContain('hunter2');
    });
});

test('equalInConstantTime is equality, whatever the lengths', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => equalInConstantTime(a, b) === (a === b)));
    fc.assert(fc.property(fc.string(), (a) => equalInConstantTime(a, `${a}`)));
    expect(equalInConstantTime('a', 'ab')).toBe(false);
});
