/** Readable on any brand colour (frontend contract §3.6, §7.34). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { accentOf, contrast, modeOf, parseColour, surfaces, type Mode } from '../../src/ui/connect/theme.ts';

describe('contrast', () => {
    test('black on white, and a colour on itself', () => {
        expect(contrast([0, 0, 0], [255, 255, 255])).toBeCloseTo(21, 5);
        expect(contrast([18, 52, 86], [18, 52, 86])).toBe(1);
    });

    test('a grey whose contrast is known', () => {
        expect(contrast([118, 118, 118], [255, 255, 255])).toBeCloseTo(4.54, 2);
    });
});

describe('the accent', () => {
    const colours = [
        '#00B2E3',
        '#1f5eff',
        '#7aa2ff',
        '#ffffff',
        '#000000',
        '#ffeb3b',
        '#ff0000',
        '#777777',
        '#0b7a4b',
        '#17191f',
        '#fafafa',
        '#e91e63',
    ];
    test.each(colours.flatMap((colour) => (['light', 'dark'] as const).map((mode) => [colour, mode] as const)))('%s, %s', (colour, mode) => {
        const primary = parseColour(colour)!;
        const accent = accentOf(primary, mode);
        expect(contrast(parseColour(accent.onPrimary)!, primary)).toBeGreaterThanOrEqual(4.5);
        const onCard = contrast(primary, surfaces[mode]);
        expect(accent.needsOutline).toBe(onCard < 3);
        expect(accent.isText).toBe(onCard >= 4.5);
    });

    test('text is white as long as it can be read', () => {
        expect(accentOf([31, 94, 255], 'light').onPrimary).toBe('#ffffff');
        expect(accentOf([0, 178, 227], 'light').onPrimary).toBe('#000000');
    });
});

test('the style sheet has the cards that contrast is computed for', () => {
    const css = readFileSync(join(import.meta.dirname, '../../src/ui/connect/style/base.css'), 'utf8');
    const found = [...css.matchAll(/--surface: (#\w+);/g)].map(([, colour]) => parseColour(colour!));
    const [light, dark] = (['light', 'dark'] satisfies Mode[]).map((mode) => surfaces[mode]);
    expect(found).toEqual([light, dark, dark]);
});

test.each([
    ['#abc', [170, 187, 204]],
    [' #00B2E3 ', [0, 178, 227]],
    ['rgb(1, 2, 3)', [1, 2, 3]],
    ['rgb(1 2 3 / 50%)', [1, 2, 3]],
    ['tomato', undefined],
    ['#12', undefined],
])('parseColour %s', (text, expected) => {
    expect(parseColour(text)).toEqual(expected);
});

test.each([
    [undefined, undefined, true, 'dark'],
    [undefined, 'system', false, 'light'],
    [undefined, 'dark', false, 'dark'],
    ['light', 'dark', true, 'light'],
    ['system', 'light', true, 'dark'],
] as const)('modeOf(%s, %s, %s)', (fromAddress, fromSettings, isSystemDark, expected) => {
    expect(modeOf(fromAddress, fromSettings, isSystemDark)).toBe(expected);
});
