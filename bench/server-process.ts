/** A server as a process of its own: started, waited for, weighed, stopped. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const pollEveryMs = 4;
const startWithinMs = 60_000;

export interface ServerProcess {
    url: string;
    /** Milliseconds from the spawn to the first 200 of `/health`. */
    startedInMs: number;
    /** Resident memory now, in MB; `undefined` where the kernel does not tell. */
    residentMb(): number | undefined;
    /** Rejects if it does not end with code 0. */
    stop(): Promise<void>;
}

/** @param file from the repository's root; @param options are Node's own */
export async function startServer(file: string, env: Record<string, string>, options: string[] = []): Promise<ServerProcess> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const root = join(import.meta.dirname, '..');
    const inherited = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', NODE_ENV: 'production' };
    const begin = performance.now();
    const child = spawn(process.execPath, [...options, join(root, file)], {
        cwd: root,
        env: { ...inherited, PORT: String(port), HOST: '127.0.0.1', ...env },
        stdio: ['ignore', 'ignore', 'inherit'],
    });
    // Whatever breaks, nothing is left running.
    const kill = (): boolean => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    while (!(await isHealthy(url))) {
        if (hasEnded(child) || performance.now() - begin > startWithinMs) {
            child.kill('SIGKILL');
            throw new Error(`${file} did not start`);
        }
        await delay(pollEveryMs);
    }
    return {
        url,
        startedInMs: performance.now() - begin,
        residentMb: () => (process.platform === 'linux' ? residentMb(child.pid!) : undefined),
        stop: async () => {
            child.kill('SIGTERM');
            const [code, signal] = await ended;
            if (code !== 0) {
                throw new Error(`${file} ended with ${signal ?? `code ${code}`}`);
            }
        },
    };
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

function isHealthy(url: string): Promise<boolean> {
    return new Promise((resolve) => {
        get(`${url}/health`, { agent: false }, (response) => {
            response.resume();
            resolve(response.statusCode === 200);
        }).on('error', () => resolve(false));
    });
}

function residentMb(pid: number): number {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) / 1024;
}

async function freePort(): Promise<number> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
}
