/** Requests that offer another protocol (RFC 9110 §7.8): a server that does not speak it answers as if they did not. */
import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from './app.ts';

let valetkey: TestApp;
beforeAll(async () => {
    valetkey = await startTestApp();
    await valetkey.listen();
});
afterAll(() => valetkey?.close());

/** As Java's own client does on plain http, unless it is told not to. */
const h2c = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQCAAAAAAIAAAAA' };

async function ask(method: string, path: string, body?: string): Promise<[number | undefined, unknown]> {
    const headers = { ...h2c, authorization: `Bearer ${valetkey.key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const asked = request(valetkey.url + path, { method, headers, agent: false });
    asked.end(body);
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return [answer.statusCode, JSON.parse(await text(answer))];
}

test('the offer of HTTP/2 is passed over', async () => {
    expect(await ask('GET', '/health')).toEqual([200, { result: 'ok' }]);
    expect(await ask('GET', '/connections')).toEqual([200, expect.objectContaining({ connections: [] })]);
});

test('with a body too', async () => {
    const body = JSON.stringify({ display_name: 'of a Java client' });
    expect(await ask('POST', '/environment/api-keys', body)).toEqual([200, { data: expect.objectContaining({ display_name: 'of a Java client' }) }]);
});
