/** WCAG 2.2 AA and what axe-core calls best practice, on every screen in both themes; narrow and enlarged; and without a mouse. */
import type { Frame, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { axeRules, axeSource, type AxeResults } from '../../peers/axe.ts';
import { integrations, screens, show } from './screens.ts';
import { startSimulated, type Simulated } from './simulated.ts';

let simulated: Simulated;

beforeAll(async () => {
    simulated = await startSimulated();
    for (const slug of integrations) await simulated.add(slug);
});
afterAll(() => simulated?.close());

/** A colour on its way to another is neither; what turns for good never ends. */
const settled = (place: Page | Frame): Promise<unknown> =>
    place.evaluate(async () => {
        const isPassing = (animation: Animation): boolean => animation.effect?.getComputedTiming().iterations !== Infinity;
        for (;;) {
            const passing = document.getAnimations().filter(isPassing);
            if (passing.length === 0) return;
            await Promise.allSettled(passing.map(({ finished }) => finished));
        }
    });

async function violations(place: Page | Frame): Promise<string[]> {
    await settled(place);
    await place.evaluate(axeSource);
    const { violations: found, passes } = await place.evaluate(
        (tags) =>
            (window as unknown as { axe: { run(of: Document, options: object): Promise<AxeResults> } }).axe.run(document, {
                runOnly: { type: 'tag', values: tags },
                resultTypes: ['violations'],
            }),
        axeRules,
    );
    expect(passes.length).toBeGreaterThan(10);
    return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

/** What cannot be read or reached without scrolling sideways. */
const cutOff = (place: Page | Frame): Promise<string[]> =>
    place.evaluate(() => {
        const faults: string[] = [];
        const width = document.documentElement.clientWidth;
        const root: ParentNode = document.querySelector('dialog[open]') ?? document;
        const isUnseen = (element: Element): boolean => element.closest('.unseen, [hidden]') !== null || element.getClientRects().length === 0;
        const said = (element: Element): string =>
            `<${element.tagName.toLowerCase()} class="${element.className}"> ${element.textContent.slice(0, 40)}`;
        const scroller = document.scrollingElement!;
        if (scroller.scrollWidth > width) faults.push(`the document is ${scroller.scrollWidth} wide`);
        for (const element of root.querySelectorAll('*')) {
            if (isUnseen(element) || element.matches('input, textarea, select, option, svg *')) continue;
            const { overflowX } = getComputedStyle(element);
            // What hides or scrolls its overflow has none.
            if (overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1) faults.push(`cut off inside of ${said(element)}`);
        }
        for (const element of root.querySelectorAll('a[href], button, input, select, textarea, .affix, h1, .alert')) {
            if (isUnseen(element)) continue;
            element.scrollIntoView({ block: 'center', behavior: 'instant' });
            const { left, right, top, bottom } = element.getBoundingClientRect();
            if (left < -0.5 || right > width + 0.5) faults.push(`${said(element)} reaches from ${left} to ${right}`);
            // Nothing lies over it, and it is not above or below what can be scrolled to.
            const [middle] = element.getClientRects();
            const x = (middle!.left + middle!.right) / 2;
            const y = Math.min(Math.max((Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2, 0), innerHeight - 1);
            const hit = document.elementFromPoint(x, y);
            if (hit === null || !(element.contains(hit) || hit.contains(element))) {
                faults.push(`${said(element)} is covered by ${hit === null ? 'nothing' : said(hit)}`);
            }
        }
        return faults;
    });

/** A frame hears of its new size later than its page. */
async function resize(page: Page, place: Page | Frame, size: { width: number; height: number }): Promise<void> {
    await page.setViewportSize(size);
    await place.waitForFunction(
        ({ width, height }) => innerWidth === width && innerHeight === height && matchMedia(`(max-width: ${width}px)`).matches,
        size,
    );
    await place.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

describe.each(screens)('%s', (name) => {
    test.each(['light', 'dark'] as const)('in %s', async (theme) => {
        const context = await simulated.context({ colorScheme: theme });
        try {
            const { page, place } = await show(name, { simulated, context, theme });
            expect(await violations(place)).toEqual([]);
            // Colours are no others there, nor is the layout in the dark.
            if (theme === 'dark') return;
            // A telephone, and a window of 1280 × 860 enlarged to 400 % (WCAG 1.4.10).
            for (const [width, height] of [
                [320, 640],
                [320, 215],
            ] as const) {
                await resize(page, place, { width, height });
                // Until it holds: a frame may be looked at between two layouts.
                await expect.poll(() => cutOff(place), { message: `${width} × ${height}` }).toEqual([]);
            }
            await resize(page, place, { width: 320, height: 640 });
            expect(await violations(place)).toEqual([]);
        } finally {
            await context.close();
        }
    });
});
