/**
 * A customer's web page: loads the official `@nangohq/frontend` as it comes from npm and gives a test a button, because
 * browsers open windows only for a real click. Served as `http://localhost:<port>`, another site than 127.0.0.1. With
 * `?client=<version>` it loads an older build: all of them are native modules that import only their neighbours, so no bundler is needed.
 *
 * A test assigns `window.onConnect` (a function that returns a promise; `Nango` is at hand) and clicks `#connect`. The
 * end is in `window.outcome`: `{ resolved: value }` or `{ rejected: { name, type, message } }`.
 */
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { listen } from './http-server.ts';

/** The client's builds that pages still carry (frontend contract §6), oldest first, and the packages they are installed as. */
export const clientPackages = {
    '0.57.6': 'nango-frontend-0.57.6',
    '0.61.3': 'nango-frontend-0.61.3',
    '0.69.50': 'nango-frontend-0.69.50',
    '0.70.6': 'nango-frontend-0.70.6',
    '0.71.2': 'nango-frontend-0.71.2',
    '0.71.4': 'nango-frontend-0.71.4',
    '0.71.10': '@nangohq/frontend',
} as const;

export type ClientVersion = keyof typeof clientPackages;

const latest: ClientVersion = '0.71.10';

export interface HostPage {
    /** With the latest client. */
    url: string;
    close(): Promise<void>;
}

const htmlWith = (client: ClientVersion): string => `<!doctype html>
<html lang="en">
    <meta charset="utf-8">
    <title>Host page</title>
    <button id="connect">Connect</button>
    <script type="module">
        import Nango, { AuthError, ConnectUI } from '/sdk/${client}/index.js';
        Object.assign(window, { Nango, AuthError, ConnectUI });
        document.getElementById('connect').addEventListener('click', async () => {
            window.outcome = undefined;
            try {
                window.outcome = { resolved: await window.onConnect() };
            } catch (error) {
                window.outcome = { rejected: { name: error.constructor.name, type: error.type, message: error.message } };
            }
        });
    </script>
</html>`;

/** @param headers Sent with the page, for example `cross-origin-opener-policy`. */
export async function startHostPage(headers: Record<string, string> = {}): Promise<HostPage> {
    const require = createRequire(import.meta.url);
    const files = new Map<string, string>();
    for (const [version, name] of Object.entries(clientPackages)) {
        const dist = dirname(require.resolve(name));
        for (const file of await readdir(dist)) if (file.endsWith('.js')) files.set(`/sdk/${version}/${file}`, join(dist, file));
    }
    const server = await listen(async (request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
        const client = searchParams.get('client') ?? latest;
        const file = files.get(pathname);
        if (file !== undefined) {
            response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(file));
        } else if (pathname === '/' && client in clientPackages) {
            response.writeHead(200, { 'content-type': 'text/html', ...headers }).end(htmlWith(client as ClientVersion));
        } else {
            response.writeHead(404).end();
        }
    });
    return { url: `http://localhost:${server.port}/`, close: () => server.close() };
}
