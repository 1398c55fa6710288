/**
 * WebKit as Debian has it (`webkit2gtk-driver`): the engine of Safari, with its popup blocker and its tracking prevention. It speaks
 * WebDriver only, and wants a screen, which Xvfb is.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { Builder, Capabilities, type WebDriver } from 'selenium-webdriver';
import { freePort } from '../peers/free-port.ts';

const webDriver = '/usr/bin/WebKitWebDriver';
const xvfb = '/usr/bin/Xvfb';

export interface WebKit {
    driver: WebDriver;
    close(): Promise<void>;
}

/** @throws Error that names what has to be installed: a browser that is missing is not skipped. */
export async function launchWebKit(): Promise<WebKit> {
    const [binary] = globSync('/usr/lib/*/webkit2gtk-4.*/MiniBrowser');
    if (binary === undefined || !existsSync(webDriver) || !existsSync(xvfb)) {
        throw new Error('WebKit is not installed; on Debian: apt-get install webkit2gtk-driver xvfb');
    }
    const started: ChildProcess[] = [];
    const start = (command: string, args: string[], env: Record<string, string>, stdio: StdioOptions): ChildProcess => {
        const child = spawn(command, args, { env: { ...process.env, ...env }, stdio });
        started.push(child);
        return child;
    };
    const stop = async (): Promise<void> => {
        for (const child of started.toReversed()) {
            const end = once(child, 'exit');
            if (child.exitCode === null && child.kill()) await end;
        }
    };
    try {
        // It says which display it is on the third channel.
        const screen = start(xvfb, ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], {}, [
            'ignore',
            'ignore',
            'ignore',
            'pipe',
        ]);
        const [display] = (await once(createInterface(screen.stdio[3] as Readable), 'line')) as [string];
        const port = await freePort();
        // Its sandbox wants what containers have not, and tests visit pages of their own only.
        start(webDriver, [`--port=${port}`], { DISPLAY: `:${display}`, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' }, 'ignore');
        await untilAnswered(`http://127.0.0.1:${port}/status`);
        const capabilities = { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': { binary, args: ['--automation'] } };
        const driver = await new Builder().usingServer(`http://127.0.0.1:${port}`).withCapabilities(new Capabilities(capabilities)).build();
        return {
            driver,
            close: async () => {
                await driver.quit();
                await stop();
            },
        };
    } catch (error) {
        await stop();
        throw error;
    }
}

async function untilAnswered(url: string): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
        const isThere = await fetch(url).then(
            ({ ok }) => ok,
            () => false,
        );
        if (isThere) return;
        if (attempt === 200) throw new Error('WebKitWebDriver does not answer');
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
