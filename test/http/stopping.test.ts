/** What a stop waits for, and what it begins no more. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { IntegrationRow } from '../../src/store/schema.ts';
import { json } from '../../src/store/database.ts';
import { insertConnection, insertIntegration, madeAt, newId } from '../store/rows.ts';
import { startTestApp, type TestApp } from './app.ts';

const isPoll = (ms: number): boolean => ms >= 800 && ms <= 1_200;

let valetkey: TestApp;
let caller: Socket;
let wait: (ms: number) => number;
beforeEach(async () => {
    wait = (ms) => (isPoll(ms) ? 20 : ms);
    valetkey = await startTestApp({ waits: (ms) => wait(ms) });
    await valetkey.listen();
    caller = connect(valetkey.config.port, '127.0.0.1');
    caller.on('error', () => {});
    await once(caller, 'connect');
});
afterEach(async () => {
    caller.destroy();
    await valetkey.close();
});

async function insertSomeIntegration(): Promise<IntegrationRow> {
    const { db } = valetkey.app.database;
    const { id } = await db.selectFrom('environments').select('id').where('name', '=', 'dev').executeTakeFirstOrThrow();
    return insertIntegration(db, id, { unique_key: `i-${newId()}` });
}

const insertDue = async (): Promise<string> =>
    (await insertConnection(valetkey.app.database.db, await insertSomeIntegration(), { next_refresh_at: madeAt })).id;

const epochOf = async (id: string): Promise<number> =>
    (await valetkey.query<{ refresh_epoch: number }>('select refresh_epoch from connections where id = $1', [id]))[0]!.refresh_epoch;

test('no renewal begins while a caller keeps the port from closing', async () => {
    valetkey.app.startWork();
    const before = await insertDue();
    await expect.poll(() => epochOf(before)).toBeGreaterThan(0);
    const begun = once(valetkey.app.server.server, 'request');
    const head = `authorization: Bearer ${valetkey.key}\r\ncontent-type: application/json\r\ncontent-length: 100`;
    caller.write(`POST /connect/sessions HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\n{`);
    await begun;
    const closing = valetkey.app.close();
    const after = await insertDue();
    await sleep(200);
    expect(await epochOf(after)).toBe(0);
    caller.destroy();
    await closing;
});

describe('an answer that its caller has not taken yet', () => {
    const patienceMs = 20_000;
    const received: Buffer[] = [];
    let answer: ServerResponse;

    /** Longer than the buffers of both ends. */
    beforeEach(async () => {
        received.length = 0;
        caller.on('data', (chunk: Buffer) => received.push(chunk)).pause();
        const integration = await insertSomeIntegration();
        const metadata = json({ text: 'x'.repeat(50_000) });
        await Promise.all(Array.from({ length: 300 }, () => insertConnection(valetkey.app.database.db, integration, { metadata })));
        const asked = once(valetkey.app.server.server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
        caller.write(`GET /connections?limit=300 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${valetkey.key}\r\n\r\n`);
        [, answer] = await asked;
        await vi.waitUntil(() => answer.writableEnded, { timeout: 30_000 });
    });

    test('arrives whole', async () => {
        expect(answer.writableFinished).toBe(false);
        const closing = valetkey.app.close();
        const closed = once(caller, 'close');
        caller.resume();
        await closed;
        const [head = '', body = ''] = Buffer.concat(received).toString().split('\r\n\r\n');
        expect(body.length).toBe(Number(/content-length: (\d+)/i.exec(head)?.[1]));
        await closing;
    });

    test('does not keep the process from ending', async () => {
        wait = (ms) => (ms === patienceMs ? 20 : ms);
        await valetkey.app.close();
        expect(answer.writableFinished).toBe(false);
    });
});
