import { describe, expect, test } from 'vitest';
import { StatementNames } from '../../src/store/statement-names.ts';

const failure = (code: string) => Object.assign(new Error('refused'), { code });

describe('names of statements', () => {
    test('are the same for the same text, and another’s for another', async () => {
        const names = new StatementNames();
        const nameOf = (name: string, text: string) => names.under(name, text, async (as) => as);
        const first = await nameOf('find', 'select 1');
        expect(first).toMatch(/^find [0-9a-f]{12}$/);
        expect(await nameOf('find', 'select 1')).toBe(first);
        expect(await nameOf('find', 'select 2')).not.toBe(first);
    });

    test.each(['26000', '42P05'])('are given up with the first that is refused with %s, which is sent again', async (code) => {
        const names = new StatementNames();
        const sent: (string | undefined)[] = [];
        const send = async (as: string | undefined): Promise<string> => {
            sent.push(as);
            if (as !== undefined) throw failure(code);
            return 'done';
        };
        expect([await names.under('find', 'select 1', send), await names.under('find', 'select 1', send)]).toEqual(['done', 'done']);
        expect(sent).toEqual([expect.any(String), undefined, undefined]);
    });

    test('are kept whatever else fails, and nothing is sent twice then', async () => {
        const names = new StatementNames();
        let sent = 0;
        const fails = names.under('find', 'select 1', async () => {
            sent += 1;
            throw failure('23505');
        });
        await expect(fails).rejects.toMatchObject({ code: '23505' });
        expect([sent, await names.under('find', 'select 1', async (as) => as !== undefined)]).toEqual([1, true]);
    });
});
