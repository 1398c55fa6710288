/** What the page costs: bytes, script time, and the longest list there can be. Times are printed, not judged. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answer, instead } from './screens.ts';
import { awaitHeading, openLink, startSimulated, type Simulated } from './simulated.ts';

let simulated: Simulated;

beforeAll(async () => {
    simulated = await startSimulated();
    await simulated.add('slack');
});
afterAll(() => simulated?.close());

const print = (line: string): boolean => process.stdout.write(`  ${line}\n`);

test('scripts and styles are below 45 kB, every language included', async () => {
    const folder = join(simulated.directory, 'assets');
    const sizes: Record<string, number> = {};
    for (const name of await readdir(folder)) sizes[name] = gzipSync(await readFile(join(folder, name))).length;
    print(`gzipped: ${JSON.stringify(sizes)}`);
    const of = (isCounted: (name: string) => boolean): number =>
        Object.entries(sizes).reduce((sum, [name, size]) => sum + (isCounted(name) ? size : 0), 0);
    const main = of((name) => name.startsWith('main-'));
    const all = of((name) => /\.(js|css)$/.test(name));
    print(`in English ${main} bytes, everything ${all} bytes`);
    expect(main).toBeGreaterThan(10_000);
    expect(all).toBeLessThan(45_000);
});

const loaded = (page: Page): Promise<string[]> =>
    page.evaluate(() =>
        performance
            .getEntriesByType('resource')
            .map(({ name }) => name)
            .filter((name) => /\.(js|css|woff2?)(\?|$)/.test(name)),
    );

test('nothing but its own entry is loaded, and one language where it is not English', async () => {
    const context = await simulated.context();
    const page = await openLink(context, await simulated.session());
    await awaitHeading(page, 'Connect an account');
    const own = new RegExp(`^${RegExp.escape(simulated.url)}/connect-ui/assets/main-[\\w-]+\\.(js|css)$`);
    expect((await loaded(page)).filter((name) => !own.test(name))).toEqual([]);
    expect(await loaded(page)).toHaveLength(2);
    const german = await openLink(context, await simulated.session(), { lang: 'de' });
    await awaitHeading(german, 'Konto verbinden');
    expect((await loaded(german)).filter((name) => !own.test(name))).toEqual([expect.stringMatching(/\/connect-ui\/assets\/de-[\w-]+\.js$/)]);
    await context.close();
});

type Costs = Record<string, number>;

/** A connect link in a tab whose costs are counted from the beginning, in seconds. */
async function openCounted(context: BrowserContext, only?: string): Promise<{ page: Page; costs(): Promise<Costs> }> {
    const { link } = await simulated.session(only);
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send('Performance.enable');
    await page.goto(link);
    return {
        page,
        costs: async () => {
            const { metrics } = await session.send('Performance.getMetrics');
            return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
        },
    };
}
const milliseconds = (seconds = 0): string => `${(seconds * 1000).toFixed(1)} ms`;

test('it is usable after a little script', async () => {
    const context = await simulated.context();
    const { page, costs } = await openCounted(context, 'slack');
    await awaitHeading(page, 'Connect Slack');
    const { ScriptDuration, LayoutDuration, RecalcStyleDuration, TaskDuration } = await costs();
    print(
        `until the form can be used: script ${milliseconds(ScriptDuration)}, style ${milliseconds(RecalcStyleDuration)}, ` +
            `layout ${milliseconds(LayoutDuration)}, everything ${milliseconds(TaskDuration)}`,
    );
    expect(ScriptDuration).toBeGreaterThan(0);
    await context.close();
});

test('a list of the whole catalogue is complete, drawn where it is looked at, and searched while one types', async () => {
    const all = [...simulated.simulator.catalogue.values()].map(({ slug, display_name }) => ({
        unique_key: slug,
        provider: slug,
        display_name,
        logo: `${simulated.url}/logos/${slug}.svg`,
        forward_webhooks: true,
        created_at: '2026-01-01T00:00:00.000Z',
        updated_at: '2026-01-01T00:00:00.000Z',
    }));
    expect(all).toHaveLength(981);
    const context = await simulated.context();
    const logos = new Set<string>();
    context.on('request', (request) => {
        if (request.resourceType() === 'image') logos.add(request.url());
    });
    await instead(context, '/integrations', answer(200, { data: all }));
    const { page, costs } = await openCounted(context);
    await awaitHeading(page, 'Connect an account');
    const rows = page.locator('li:not([hidden]) [data-integration]');
    await expect.poll(() => rows.count()).toBe(981);
    const first = await costs();
    // Whatever is out of sight costs no layout, and no request.
    expect(await page.evaluate(() => getComputedStyle(document.querySelector('.rows > li')!).contentVisibility)).toBe('auto');
    const logosAtFirst = logos.size;
    expect(logosAtFirst).toBeLessThan(200);

    await page.locator('[type=search]').focus();
    for (const [typed, found] of [
        ['s', undefined],
        ['l', undefined],
        ['a', undefined],
        ['c', undefined],
        ['k-', 1],
    ] as const) {
        await page.keyboard.type(typed);
        if (found !== undefined) await expect.poll(() => rows.count()).toBe(found);
    }
    const searched = await costs();
    await page.locator('[type=search]').fill('');
    await expect.poll(() => rows.count()).toBe(981);
    const logosAfterSearch = logos.size;
    expect(logosAfterSearch).toBeLessThan(200);
    await rows.last().scrollIntoViewIfNeeded();
    const scrolled = await costs();
    const spent = (from: Costs, to: Costs): string =>
        ['ScriptDuration', 'RecalcStyleDuration', 'LayoutDuration', 'TaskDuration']
            .map((name) => `${name.replace('Duration', '').toLowerCase()} ${milliseconds(to[name]! - (from[name] ?? 0))}`)
            .join(', ');
    print(`981 integrations: ${spent({}, first)}; ${logosAtFirst} logos asked for`);
    print(`five letters of a search: ${spent(first, searched)}`);
    print(`the search emptied, and to the end of the list: ${spent(searched, scrolled)}; ${logosAfterSearch}, then ${logos.size} logos`);
    await context.close();
});
