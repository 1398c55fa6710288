/** Writes that are ready together leave together, and suffer for nobody else's fault. */
import { describe, expect, test } from 'vitest';
import { GroupCommit } from '../../src/credentials/group-commit.ts';

/** Writes numbers, and answers each with its double. */
function recorded(fail: (items: readonly number[]) => Error | undefined = () => undefined) {
    const writes: number[][] = [];
    const gate = { open: Promise.resolve() };
    const group = new GroupCommit<number, number>(async (items) => {
        writes.push([...items]);
        await gate.open;
        const failure = fail(items);
        if (failure !== undefined) {
            throw failure;
        }
        return items.map((item) => item * 2);
    });
    return { group, writes, gate };
}

const coded = (code: string): Error => Object.assign(new Error(code), { code });

describe('GroupCommit', () => {
    test('writes at once what is ready in the same turn, and gives each its own result', async () => {
        const { group, writes } = recorded();
        expect(await Promise.all([1, 2, 3].map((item) => group.add(item)))).toEqual([2, 4, 6]);
        expect(writes).toEqual([[1, 2, 3]]);
    });

    test('gathers what comes while a write is under way, a hundred at most', async () => {
        const { group, writes, gate } = recorded();
        const held = Promise.withResolvers<void>();
        gate.open = held.promise;
        const first = group.add(0);
        await new Promise(setImmediate);
        const later = Array.from({ length: 150 }, (_, index) => group.add(index + 1));
        await new Promise(setImmediate);
        expect(writes).toEqual([[0]]);
        held.resolve();
        await Promise.all([first, ...later]);
        expect(writes.map(({ length }) => length)).toEqual([1, 100, 50]);
    });

    test('one that cannot be written fails alone', async () => {
        const { group, writes } = recorded((items) => (items.includes(2) ? coded('22P02') : undefined));
        const results = await Promise.allSettled([1, 2, 3].map((item) => group.add(item)));
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
        expect(writes).toEqual([[1, 2, 3], [1], [2], [3]]);
    });

    test('an outage is not tried out on each of them', async () => {
        const { group, writes } = recorded(() => coded('57P01'));
        const results = await Promise.allSettled([1, 2].map((item) => group.add(item)));
        expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
        expect(writes).toEqual([[1, 2]]);
    });
});
