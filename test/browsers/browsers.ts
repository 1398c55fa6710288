/**
 * Whole browsers as people have them, unlike the headless shell of `test/peers/browser.ts`: Firefox, and a Chromium with its popup
 * blocker. Both are spoken to by Puppeteer, Firefox over WebDriver BiDi, and both keep what their users have: a window that no click
 * asked for is blocked, and storage is partitioned by the page on top.
 */
import { existsSync } from 'node:fs';
import puppeteer, { type Browser, type LaunchOptions } from 'puppeteer-core';

export type BrowserName = 'firefox' | 'chromium';
export const browserNames: readonly BrowserName[] = ['firefox', 'chromium'];

const places: Record<BrowserName, readonly string[]> = {
    firefox: ['/usr/bin/firefox', '/usr/bin/firefox-esr', '/Applications/Firefox.app/Contents/MacOS/firefox'],
    chromium: [
        '/usr/bin/chromium',
        '/usr/bin/google-chrome-stable',
        '/usr/bin/google-chrome',
        '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
        '/Applications/Chromium.app/Contents/MacOS/Chromium',
    ],
};

const own: Record<BrowserName, LaunchOptions> = {
    // What Puppeteer switches off for the sake of tests is on again: the blocker, and Firefox's Total Cookie Protection.
    firefox: { browser: 'firefox', extraPrefsFirefox: { 'dom.disable_open_during_load': true, 'network.cookie.cookieBehavior': 5 } },
    chromium: {
        browser: 'chrome',
        ignoreDefaultArgs: ['--disable-popup-blocking'],
        // Tests visit pages of their own only, and the browser nobody's.
        args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
    },
};

/** @throws Error that names what has to be installed: a browser that is missing is not skipped. */
export async function launch(name: BrowserName): Promise<Browser> {
    const executablePath = places[name].find((path) => existsSync(path));
    if (executablePath === undefined) {
        throw new Error(`${name} is not installed (looked for ${places[name].join(', ')}); on Debian: apt-get install firefox-esr chromium`);
    }
    return puppeteer.launch({ ...own[name], executablePath, headless: true });
}
