/** §7.13: an app without popups and sockets, as the README has it: the system's browser, and a question that waits. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startOrigins, type Origins } from './connect-ui/origins.ts';

interface Outcome {
    status: string;
    connection_id?: string;
    error?: { type: string };
}
type Connect = (given: { url: string; integration: string; token: string; openInBrowser: (address: string) => void }) => Promise<Outcome>;

let origins: Origins;
let connect: Connect;
beforeAll(async () => {
    origins = await startOrigins();
    const [, snippet] = /```js\n(export async function connect\([^]*?)```/.exec(
        await readFile(join(import.meta.dirname, '../../README.md'), 'utf8'),
    )!;
    ({ connect } = (await import(`data:text/javascript,${encodeURIComponent(snippet!)}`)) as { connect: Connect });
});
afterAll(() => origins?.close());

/** The user's browser: follows, approves or refuses, and comes back with its cookie. */
const browse = async (address: string, isRefused: boolean): Promise<void> => {
    const started = await fetch(address, { redirect: 'manual' });
    const cookie = started.headers.getSetCookie().map((line) => line.split(';')[0]!);
    const consent = await (await fetch(started.headers.get('location')!)).text();
    const [, link] = new RegExp(`id="${isRefused ? 'deny' : 'approve'}" href="([^"]+)"`).exec(consent)!;
    const target = link!.replaceAll('&amp;', '&');
    const callback = isRefused ? target : (await fetch(target, { redirect: 'manual' })).headers.get('location')!;
    await fetch(callback, { headers: { cookie: cookie.join('; ') } });
};

const run = async (isRefused: boolean): Promise<Outcome> => {
    const { token } = await origins.session();
    let browsing: Promise<void> | undefined;
    const outcome = await connect({
        url: origins.valetkey.url,
        integration: 'oauth',
        token,
        openInBrowser: (address) => {
            browsing = browse(address, isRefused);
        },
    });
    await browsing;
    return outcome;
};

test('it learns that its user has connected, and as what', async () => {
    const { status, connection_id: id } = await run(false);
    expect(status).toBe('success');
    expect((await origins.valetkey.call('GET', `/connections/${id}?provider_config_key=oauth`)).status).toBe(200);
});

test('it learns that its user has refused', async () => {
    expect(await run(true)).toMatchObject({ status: 'error', error: { type: 'callback_err' } });
});
