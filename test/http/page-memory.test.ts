/** Where served pages ended, as one process remembers it. */
import { expect, test } from 'vitest';
import { PageMemory } from '../../src/http/page-memory.ts';

const place = (id: number) => ({ created: '2026-01-01T00:00:00.000000', id });

function memory(most?: number) {
    let now = 0;
    return { pages: new PageMemory({ now: () => now }, most), advance: (ms: number) => void (now += ms) };
}

test('a walk is what its pages have in common', () => {
    const { pages } = memory();
    const walk = pages.walk('key', { tags: { a: 'b' } }, 100);
    expect(pages.walk('key', { tags: { a: 'b' } }, 100)).toBe(walk);
    for (const other of [pages.walk('other', { tags: { a: 'b' } }, 100), pages.walk('key', {}, 100), pages.walk('key', { tags: { a: 'b' } }, 10)]) {
        expect(other).not.toBe(walk);
    }
});

test('remembers the last end of each page for five minutes', () => {
    const { pages, advance } = memory();
    pages.served('walk', 0, place(9));
    pages.served('walk', 1, place(5));
    pages.served('walk', 0, place(8));
    expect([pages.endOf('walk', 0), pages.endOf('walk', 1), pages.endOf('walk', 2), pages.endOf('other', 0)]).toEqual([
        place(8),
        place(5),
        undefined,
        undefined,
    ]);
    advance(5 * 60_000 - 1);
    expect(pages.endOf('walk', 0)).toEqual(place(8));
    pages.served('walk', 1, place(4));
    advance(1);
    expect([pages.endOf('walk', 0), pages.endOf('walk', 1)]).toEqual([undefined, place(4)]);
});

test('forgets a page that turned out empty', () => {
    const { pages } = memory();
    pages.served('walk', 0, place(9));
    pages.served('walk', 0, undefined);
    expect(pages.endOf('walk', 0)).toBeUndefined();
});

test('keeps so many pages and no more, those that were served last', () => {
    const { pages } = memory(3);
    for (const page of [0, 1, 2, 0, 3]) pages.served('walk', page, place(page));
    expect([0, 1, 2, 3].filter((page) => pages.endOf('walk', page) !== undefined)).toEqual([0, 2, 3]);
});
