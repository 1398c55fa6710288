/**
 * A customer's web page: loads the official `@nangohq/frontend` as it comes from npm and gives a test a button, because
 * browsers open windows only for a real click. Served as `http://localhost:<port>`, another site than 127.0.0.1.
 *
 * A test assigns `window.onConnect` (a function that returns a promise; `Nango` is at hand) and clicks `#connect`. The
 * end is in `window.outcome`: `{ resolved: value }` or `{ rejected: { name, type, message } }`.
 */
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { listen } from './http-server.ts';

export interface HostPage {
    url: string;
    close(): Promise<void>;
}

const html = `<!doctype html>
<html lang="en">
    <meta charset="utf-8">
    <title>Host page</title>
    <button id="connect">Connect</button>
    <script type="module">
        import Nango, { AuthError, ConnectUI } from '/sdk/index.js';
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
    const dist = dirname(createRequire(import.meta.url).resolve('@nangohq/frontend'));
    const modules = new Set((await readdir(dist)).filter((name) => name.endsWith('.js')));
    const server = await listen(async (request, response) => {
        const [, name] = /^\/sdk\/([^/?]+)$/.exec(request.url ?? '') ?? [];
        if (name !== undefined && modules.has(name)) {
            response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(join(dist, name)));
        } else if (/^\/(\?.*)?$/.test(request.url ?? '')) {
            response.writeHead(200, { 'content-type': 'text/html', ...headers }).end(html);
        } else {
            response.writeHead(404).end();
        }
    });
    return { url: `http://localhost:${server.port}/`, close: () => server.close() };
}
