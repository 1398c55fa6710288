/** What a stop waits for, and what it begins no more. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { insertConnection, insertIntegration, madeAt, newId } from '../store/rows.ts';
import { startTestApp, type TestApp } from './app.ts';

const isPoll = (ms: number): boolean => ms >= 800 && ms <= 1_200;

let valetkey: TestApp;
let caller: Socket;
beforeEach(async () => {
    valetkey = await startTestApp({ waits: (ms) => (isPoll(ms) ? 20 : ms) });
    await valetkey.listen();
    caller = connect(valetkey.config.port, '127.0.0.1');
    caller.on('error', () => {});
    await once(caller, 'connect');
});
afterEach(async () => {
    caller.destroy();
    await valetkey.close();
});

async function insertDue(): Promise<string> {
    const { db } = valetkey.app.database;
    const { id } = await db.selectFrom('environments').select('id').where('name', '=', 'dev').executeTakeFirstOrThrow();
    const integration = await insertIntegration(db, id, { unique_key: `i-${newId()}` });
    return (await insertConnection(db, integration, { next_refresh_at: madeAt })).id;
}

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
