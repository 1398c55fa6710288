/** Health, readiness, and the end: what shutdown does to those who are still connected (http-api §3). */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { apiKeyEntry, providersFile } from '../e2e/provider-entries.ts';
import { listen } from '../peers/http-server.ts';
import { createIntegration, createSession } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';

/** Opens an outcome socket and waits for its greeting. */
async function openSocket(valetkey: TestApp): Promise<WebSocket> {
    const socket = new WebSocket(valetkey.url.replace('http', 'ws'));
    await new Promise((resolve, reject) => {
        socket.once('message', resolve);
        socket.once('error', reject);
    });
    return socket;
}

/** Sends a request but for its last header; resolves with all that came back once the server has closed the connection. */
function halfOf(valetkey: TestApp, start: string): { finish(body?: string): void; answer: Promise<string> } {
    let text = '';
    const socket = connect(valetkey.config.port, '127.0.0.1');
    socket.write(start);
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const answer = new Promise<string>((resolve) => socket.once('close', () => resolve(text)));
    return { finish: (body = '') => void socket.write(`host: a\r\n\r\n${body}`), answer };
}

test('probes are answered whatever they add to the path', async () => {
    const valetkey = await startTestApp();
    for (const path of ['/health', '/health?probe=1', '/ready', '/ready?x=%00']) {
        const answer = await valetkey.call('GET', path, { key: null });
        expect([answer.status, answer.body]).toEqual([200, { result: 'ok' }]);
    }
    await valetkey.close();
});

test('readiness follows the database, health does not', async () => {
    const valetkey = await startTestApp();
    await valetkey.app.database.db.destroy();
    expect(await valetkey.call('GET', '/ready')).toMatchObject({ status: 503, body: { result: 'not ready' } });
    expect(await valetkey.call('GET', '/health')).toMatchObject({ status: 200 });
    await valetkey.close();
});

/** Less than the 30 s for which a WebSocket waits for the other side's goodbye: a shutdown that waits for it is a hang. */
const goodbyeTimeoutMs = 20_000;

describe('shutdown', () => {
    test('finishes what is under way, also what has only half arrived, and says on the way that it is not ready', async () => {
        const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        const slow = await listen((_request, response) => {
            asked.resolve();
            void released.promise.then(() => response.writeHead(200).end('{}'));
        });
        const valetkey = await startTestApp({ providers: providersFile(apiKeyEntry('slow', `http://127.0.0.1:${slow.port}`)) });
        await valetkey.listen();
        await createIntegration(valetkey, 'slow', 'slow');
        const body = '{"apiKey":"k"}';
        const head = `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
        const connecting = halfOf(valetkey, `POST /api-auth/api-key/slow?connect_session_token=${await createSession(valetkey)} HTTP/1.1\r\n${head}`);
        const health = halfOf(valetkey, 'GET /health HTTP/1.1\r\n');
        const ready = halfOf(valetkey, 'GET /ready HTTP/1.1\r\n');
        connecting.finish(body);
        await asked.promise;
        const closed = valetkey.close();
        health.finish();
        ready.finish();
        expect((await health.answer).split('\r\n\r\n')[1]).toBe('{"result":"ok"}');
        expect(await ready.answer).toMatch(/^HTTP\/1\.1 503 [^]*\{"result":"not ready"\}$/);
        released.resolve();
        expect((await connecting.answer).split('\r\n\r\n')[1]).toContain('"connectionId"');
        await closed;
        await slow.close();
    });

    test(
        'does not wait for outcome sockets that nobody closes, waiting or served',
        async () => {
            const valetkey = await startTestApp();
            await valetkey.listen();
            const waiting = await openSocket(valetkey);
            const asleep = await openSocket(valetkey);
            asleep.pause(); // never answers the goodbye
            const code = new Promise((resolve) => waiting.once('close', resolve));
            await valetkey.close();
            expect(await code).toBe(1001);
            asleep.terminate();
        },
        goodbyeTimeoutMs,
    );

    test(
        'nor for a socket that has had its outcome',
        async () => {
            const valetkey = await startTestApp();
            await valetkey.listen();
            const socket = new WebSocket(valetkey.url.replace('http', 'ws'));
            const frames: { message_type: string; ws_client_id?: string }[] = [];
            socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as (typeof frames)[0]));
            await expect.poll(() => frames.length).toBe(1);
            const token = await createSession(valetkey);
            await valetkey.call('GET', `/oauth/connect/none?connect_session_token=${token}&ws_client_id=${frames[0]!.ws_client_id}`, { key: null });
            await expect.poll(() => frames.map((frame) => frame.message_type)).toEqual(['connection_ack', 'error']);
            await valetkey.close();
        },
        goodbyeTimeoutMs,
    );
});
