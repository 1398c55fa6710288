/** Languages, themes, colours, and the settings behind them (frontend contract §6 C26–C30, §7.32–37). */
import type { BrowserContext, Frame, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { contrast } from '../../../src/ui/connect/theme.ts';
import { words as de } from '../../../src/ui/connect/words/de.ts';
import { en, type Words } from '../../../src/ui/connect/words/en.ts';
import { words as es } from '../../../src/ui/connect/words/es.ts';
import { words as fr } from '../../../src/ui/connect/words/fr.ts';
import { words as ja } from '../../../src/ui/connect/words/ja.ts';
import { answer, instead, integrations, show } from './screens.ts';
import { awaitHeading, embed, openLink, popupOf, startSimulated, submit, type Simulated } from './simulated.ts';

let simulated: Simulated;
let context: BrowserContext;

beforeAll(async () => {
    simulated = await startSimulated();
    for (const slug of integrations) await simulated.add(slug);
});
afterAll(() => simulated?.close());
beforeEach(async () => {
    context = await simulated.context();
});
afterEach(async () => {
    await context.close();
    await settings();
});

const usual = {
    defaultTheme: 'system',
    theme: { light: { primary: '#1f5eff' }, dark: { primary: '#7aa2ff' } },
    showWatermark: false,
    closeOnSuccess: false,
};
async function settings(change: object = {}): Promise<void> {
    const { status, text } = await simulated.valetkey.call('PUT', '/environment/connect-ui', { body: { ...usual, ...change } });
    if (status !== 200) throw new Error(text);
}

describe('languages', () => {
    const texts = (value: unknown): string[] => (typeof value === 'string' ? [value] : Object.values(value as object).flatMap(texts));
    /** Everything that is seen or read out. */
    const said = (place: Page | Frame): Promise<string[]> =>
        place.evaluate(() => {
            const found: string[] = [document.title];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) found.push(walker.currentNode.textContent ?? '');
            for (const element of document.querySelectorAll('[aria-label], [placeholder], [title]')) {
                for (const name of ['aria-label', 'placeholder', 'title']) found.push(element.getAttribute(name) ?? '');
            }
            return found.map((text) => text.trim()).filter((text) => text !== '');
        });

    /** English sentences, with anything in their gaps, that the language does not have itself. */
    const english = (words: Words): RegExp[] => {
        const own = new Set(texts(words));
        return texts(en)
            .filter((text) => !own.has(text))
            .map(
                (text) =>
                    new RegExp(
                        `^${text
                            .split(/\{\w+\}/)
                            .map(RegExp.escape)
                            .join('.*')}$`,
                    ),
            );
    };

    test.each<[string, Words, string]>([
        ['fr', fr, 'de-DE'],
        ['de', de, 'fr-FR'],
        ['es', es, 'ja-JP'],
        ['ja', ja, 'es-ES'],
    ])('%s beats the browser’s, and leaves no English behind', async (lang, words, locale) => {
        const asked: (string | undefined)[] = [];
        const strange: string[] = [];
        const seen = new Set<string>();
        const leftovers = english(words);
        const look = async (place: Page | Frame): Promise<void> => {
            expect(await place.locator('html').getAttribute('lang')).toBe(lang);
            for (const text of await said(place)) {
                seen.add(text);
                if (leftovers.some((sentence) => sentence.test(text))) strange.push(text);
            }
        };
        const other = async () => {
            const opened = await simulated.context({ locale });
            opened.on('request', (request) => {
                if (request.url().includes('/providers/')) asked.push(request.headers()['accept-language']);
            });
            return opened;
        };
        for (const name of [
            'loading',
            'list',
            'list with search',
            'list without a match',
            'empty',
            'form with an id to copy',
            'form without fields',
            'form for an own app',
            'form with an invalid preset',
            'form in a dashboard',
            'expired',
            'no token',
            'unsupported',
            'error',
        ]) {
            const away = await other();
            const { place } = await show(name, { simulated, context: away, theme: 'light', lang });
            await look(place);
            await away.close();
        }

        const away = await other();
        await instead(away, '/auth/', answer(400, { error: { code: 'connection_test_failed', message: '401' } }));
        const { frame, page } = await embed(away, simulated, (await simulated.session('emarsys')).token, { lang });
        await awaitHeading(frame, /./);
        await frame.locator('[name="credentials.username"]').fill('ann');
        await frame.locator('button[type=submit]').click({ force: true });
        await frame.getByRole('alert').first().waitFor();
        await look(frame);
        await page.keyboard.press('Escape');
        await frame.getByRole('alertdialog').waitFor();
        await look(frame);
        await page.keyboard.press('Escape');
        await frame.locator('[name="credentials.password"]').fill('secret');
        await submit(frame);
        await awaitHeading(frame, words.failure.title);
        await look(frame);

        const slack = await embed(away, simulated, (await simulated.session('slack')).token, { lang });
        await awaitHeading(slack.frame, /./);
        const popup = await popupOf(slack.page, () => submit(slack.frame));
        await awaitHeading(slack.frame, words.waiting.title.replace('{name}', 'Slack'));
        await look(slack.frame);
        await popup.locator('#approve').click();
        await awaitHeading(slack.frame, words.success.title);
        await look(slack.frame);
        await away.close();

        expect(strange).toEqual([]);
        // Something was looked at.
        expect(seen).toContain(words.list.title);
        expect(new Set(asked)).toEqual(new Set([`${lang}, en;q=0.5`]));
    });

    test.each([
        ['fr-CA', 'fr', fr],
        ['pt-BR', 'en', en],
    ] as const)('without a choice it is the browser’s: %s', async (locale, lang, words) => {
        const away = await simulated.context({ locale });
        const page = await openLink(away, await simulated.session());
        await awaitHeading(page, words.list.title);
        expect(await page.locator('html').getAttribute('lang')).toBe(lang);
        await away.close();
    });
});

describe('themes', () => {
    const theme = (page: Page | Frame) => page.locator('html').evaluate(({ classList }) => (classList.contains('dark') ? 'dark' : 'light'));

    test.each([
        ['light', 'dark', 'dark', 'light'],
        ['dark', 'light', 'light', 'dark'],
        ['system', 'light', 'dark', 'dark'],
        [undefined, 'light', 'dark', 'light'],
        [undefined, 'dark', 'light', 'dark'],
        [undefined, 'system', 'dark', 'dark'],
    ] as const)('C27: address %s, settings %s, system %s: %s', async (address, defaultTheme, colorScheme, shown) => {
        await settings({ defaultTheme });
        const away = await simulated.context({ colorScheme });
        const page = await openLink(away, await simulated.session(), address === undefined ? {} : { theme: address });
        await awaitHeading(page, 'Connect an account');
        expect(await theme(page)).toBe(shown);
        await away.close();
    });

    test('C27: the system is followed while the page is open', async () => {
        const page = await openLink(context, await simulated.session());
        await awaitHeading(page, 'Connect an account');
        const background = () => page.locator('.card').evaluate((card) => getComputedStyle(card).backgroundColor);
        const light = await background();
        await page.emulateMedia({ colorScheme: 'dark' });
        await expect.poll(() => theme(page)).toBe('dark');
        await expect.poll(background).not.toBe(light);
        await page.emulateMedia({ colorScheme: 'light' });
        await expect.poll(() => theme(page)).toBe('light');
        await expect.poll(background).toBe(light);
    });

    test('where the system asks for less motion, no change of colour moves', async () => {
        const page = await openLink(context, await simulated.session());
        await awaitHeading(page, 'Connect an account');
        const moving = await page.evaluate(() => {
            document.documentElement.classList.replace('light', 'dark');
            return document.getAnimations().filter((one) => one instanceof CSSTransition).length;
        });
        expect(moving).toBe(0);
    });

    test.each(['#00B2E3', '#ffffff', '#000000', '#ffe600', '#1f5eff', '#777777', '#e30613', '#0a3'])('C28: %s can be read', async (primary) => {
        await settings({ theme: { light: { primary }, dark: { primary } } });
        const measured: Record<string, number> = {};
        for (const mode of ['light', 'dark'] as const) {
            const page = await openLink(context, await simulated.session('slack'), { theme: mode });
            await awaitHeading(page, 'Connect Slack');
            const of = async (what: string, selector: string, behind = selector): Promise<void> => {
                const [ink, ground] = await page.evaluate(
                    ([text, surface]) => {
                        // As it is painted, however it is written.
                        const context = new OffscreenCanvas(1, 1).getContext('2d')!;
                        const painted = (colour: string): [number, number, number] => {
                            context.fillStyle = colour;
                            context.fillRect(0, 0, 1, 1);
                            const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
                            return [red!, green!, blue!];
                        };
                        const styleOf = (found: string) => getComputedStyle(document.querySelector(found)!);
                        return [painted(styleOf(text!).color), painted(styleOf(surface!).backgroundColor)] as const;
                    },
                    [selector, behind],
                );
                measured[`${mode} ${what}`] = Math.round(contrast(ink, ground) * 10) / 10;
            };
            await of('button', 'button[type=submit]');
            await of('link', 'a.link', '.card');
            await page.hover('button[type=submit]');
            await of('button under the pointer', 'button[type=submit]');
            await page.close();
        }
        process.stdout.write(`  ${primary}: ${JSON.stringify(measured)}\n`);
        expect(Object.keys(measured)).toHaveLength(6);
        expect(Object.entries(measured).filter(([, ratio]) => ratio < 4.5)).toEqual([]);
    });
});

describe('settings', () => {
    test('C29: who runs it is named only where that is wanted', async () => {
        const line = async () => {
            const page = await openLink(context, await simulated.session());
            await awaitHeading(page, 'Connect an account');
            return page.getByText('Secured by Valetkey').count();
        };
        expect(await line()).toBe(0);
        await settings({ showWatermark: true });
        expect(await line()).toBe(1);
    });

    test('the page closes by itself where that is wanted (§7.36)', async () => {
        await settings({ closeOnSuccess: true });
        await instead(context, '/auth/', answer(200, { connectionId: 'c-1', providerConfigKey: 'emarsys' }));
        const { frame, page, events } = await embed(context, simulated, (await simulated.session('emarsys')).token);
        await frame.locator('[name="credentials.username"]').fill('ann');
        await frame.locator('[name="credentials.password"]').fill('secret');
        await submit(frame);
        await page.locator('iframe').waitFor({ state: 'detached' });
        await expect.poll(async () => (await events()).map(({ type }) => type)).toEqual(['ready', 'connect', 'close']);
    });

    test('C30: a preview shows settings as its host makes them, and does nothing', async () => {
        const sent: string[] = [];
        context.on('request', (request) => {
            if (request.method() === 'POST') sent.push(request.url());
        });
        const { token } = await simulated.session('slack');
        const page = await context.newPage();
        await page.goto(simulated.host.url);
        await page.evaluate((src) => {
            document.body.insertAdjacentHTML('beforeend', `<iframe title="Preview" width="520" height="720" src="${src}"></iframe>`);
        }, `${simulated.url}/connect-ui/?preview=true&embedded=true&theme=light`);
        const frame = (await (await page.waitForSelector('iframe')).contentFrame())!;
        await frame.locator('.card').waitFor();
        const send = (message: object) => page.evaluate((data) => document.querySelector('iframe')!.contentWindow!.postMessage(data, '*'), message);
        await send({ type: 'session_token', sessionToken: token });
        await awaitHeading(frame, 'Connect Slack');
        const colour = () => frame.locator('button[type=submit]').evaluate((button) => getComputedStyle(button).getPropertyValue('--primary').trim());
        // A frame beside it is not its host (§7.17).
        await page.evaluate(
            async (data) => {
                const stranger = document.body.appendChild(document.createElement('iframe'));
                stranger.srcdoc = `<script>parent.frames[0].postMessage(${JSON.stringify(data)}, '*'); parent.postMessage('sent', '*')</script>`;
                await new Promise((resolve) => window.addEventListener('message', ({ data: text }) => text === 'sent' && resolve(undefined)));
            },
            { type: 'settings_changed', payload: { ...usual, theme: { light: { primary: '#ff0000' }, dark: { primary: '#ff0000' } } } },
        );
        await send({ type: 'settings_changed', payload: { ...usual, showWatermark: true } });
        await frame.getByText('Secured by Valetkey').waitFor();
        expect(await colour()).toBe('rgb(31 94 255)');
        await send({ type: 'settings_changed', payload: { ...usual, theme: { light: { primary: '#0a3' }, dark: { primary: '#0a3' } } } });
        await expect.poll(colour).toBe('rgb(0 170 51)');
        await frame.locator('button[type=submit]').click({ force: true });
        await page.keyboard.press('Escape');
        await awaitHeading(frame, 'Connect Slack');
        expect(sent).toEqual([]);
        expect(context.pages()).toEqual([page]);
    });
});
