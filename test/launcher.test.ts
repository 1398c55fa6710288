/** `bin/valetkey`, run by a Node that is new enough and by one that says it is not. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort } from './peers/free-port.ts';
import { createDatabase } from './peers/postgres.ts';

const launcher = join(import.meta.dirname, '../bin/valetkey');
const pretend = (version: string): string[] => [
    '--import',
    `data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`,
];

interface Launched {
    child: ChildProcess;
    output(): string;
    ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

function launch(nodeArguments: string[], words: string[], env: Record<string, string> = {}): Launched {
    const child = spawn(process.execPath, [...nodeArguments, launcher, ...words], {
        env: { PATH: process.env['PATH'], ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    // 'close', not 'exit': it comes when the last process that holds the streams has ended, so a child left behind would be noticed.
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
        child.on('close', (code, signal) => resolve({ code, signal }));
    });
    return { child, output: () => output, ended };
}

describe.each([
    ['a Node that is new enough', []],
    ['an older Node, by the pinned one', pretend('20.11.0')],
])('%s', (_name, nodeArguments) => {
    test('passes words on, and the exit code back', async () => {
        const help = launch(nodeArguments, ['--help']);
        expect(await help.ended).toEqual({ code: 0, signal: null });
        expect(help.output()).toContain('Usage: valetkey');
        expect(await launch(nodeArguments, ['no such command']).ended).toEqual({ code: 2, signal: null });
    });

    test.each(['SIGTERM', 'SIGINT'] as const)('passes %s on, and ends when the server has stopped', async (signal) => {
        const database = await createDatabase();
        const port = await freePort();
        const server = launch(nodeArguments, [], {
            PORT: String(port),
            HOST: '127.0.0.1',
            DATABASE_URL: database.url,
            VALETKEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
        });
        await expect.poll(() => server.output(), { timeout: 50_000 }).toContain('"msg":"serving"');
        server.child.kill(signal);
        // Under npm a Ctrl+C arrives twice at once; the stop is still a graceful one.
        server.child.kill(signal === 'SIGTERM' ? 'SIGINT' : 'SIGTERM');
        expect(await server.ended).toEqual({ code: 0, signal: null });
        expect(server.output()).toContain('stopping');
        await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow('fetch failed');
        await database.drop();
    });
});

test('an older Node without the pinned one is told what to do', async () => {
    const unknownPlatform = [...pretend('20.11.0'), '--import', `data:text/javascript,Object.defineProperty(process, 'arch', { value: 'pdp11' })`];
    const launched = launch(unknownPlatform, []);
    expect(await launched.ended).toEqual({ code: 1, signal: null });
    expect(launched.output()).toMatch(/^Valetkey needs Node\.js 22\.19 or newer, but this is 20\.11\.0/);
});
