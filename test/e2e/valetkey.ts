/** Valetkey as its users run it: a process of its own, configured by environment variables, spoken to over HTTP. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Nango } from '@nangohq/node';

/** A server as its callers see it. */
export interface Reachable {
    url: string;
    /** Full access to the environment `dev`. */
    apiKey: string;
    /** The official backend client, pointed here. */
    client: Nango;
    /** A JSON call with the API key. */
    call<T = Record<string, unknown>>(
        method: string,
        path: string,
        body?: unknown,
        headers?: Record<string, string>,
    ): Promise<{ status: number; body: T; headers: Headers }>;
}

export interface Valetkey extends Reachable {
    /** Everything the process has printed. */
    output(): string;
    /** Resolves with how the process ended. */
    exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
    stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export interface ValetkeyOptions {
    port: number;
    databaseUrl: string;
    encryptionKey: string;
    apiKey: string;
    /** Provider entries, as YAML or JSON text. */
    providers?: string;
    env?: Record<string, string>;
    /** Instead of `src/main.ts`. */
    entry?: string;
}

export const newEncryptionKey = (): string => randomBytes(32).toString('base64');
export const newTestApiKey = (): string => randomUUID();

const root = join(import.meta.dirname, '../..');

/** Starts the process and waits until it serves. Rejects with its output when it ends first. */
export async function startValetkey(options: ValetkeyOptions): Promise<Valetkey> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-e2e-'));
    const providersFile = join(directory, 'providers.yaml');
    if (options.providers !== undefined) {
        await writeFile(providersFile, options.providers);
    }
    const url = `http://127.0.0.1:${options.port}`;
    const child = spawnValetkey(options.entry ?? 'src/main.ts', {
        PORT: String(options.port),
        HOST: '127.0.0.1',
        VALETKEY_PUBLIC_URL: url,
        DATABASE_URL: options.databaseUrl,
        VALETKEY_ENCRYPTION_KEY: options.encryptionKey,
        VALETKEY_SECRET_KEY_DEV: options.apiKey,
        VALETKEY_EGRESS_ALLOW: '127.0.0.0/8',
        LOG_LEVEL: 'debug',
        ...(options.providers === undefined ? {} : { VALETKEY_PROVIDERS: providersFile }),
        ...options.env,
    });
    const { exited, output } = watch(child);
    void exited.then(() => rm(directory, { recursive: true, force: true }));
    let hasExited = false;
    void exited.then(() => (hasExited = true));
    for (;;) {
        if (hasExited) {
            throw new Error(`Valetkey ended before it served:\n${output()}`);
        }
        if (await isHealthy(url)) {
            break;
        }
        await delay(25);
    }
    return {
        ...reachable(url, options.apiKey),
        output,
        exited,
        stop: async (signal = 'SIGTERM') => {
            child.kill(signal);
            return exited;
        },
    };
}

export const reachable = (url: string, apiKey: string): Reachable => ({
    url,
    apiKey,
    client: new Nango({ apiKey, host: url }),
    call: async <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
        const response = await fetch(url + path, {
            method,
            headers: {
                authorization: `Bearer ${apiKey}`,
                ...(body === undefined ? {} : { 'content-type': 'application/json' }),
                ...headers,
            },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T, headers: response.headers };
    },
});

/** The bare process, with nothing but these variables and what Node itself needs. */
export function spawnValetkey(entry: string, env: Record<string, string>, argv: string[] = []): ChildProcess {
    return spawn(process.execPath, [join(root, entry), ...argv], {
        cwd: root,
        env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', TMPDIR: tmpdir(), ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
    });
}

export function watch(child: ChildProcess): { exited: Valetkey['exited']; output: () => string } {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const exited = once(child, 'close').then(([code, signal]) => ({ code: code as number | null, signal: signal as NodeJS.Signals | null }));
    return { exited, output: () => text };
}

const isHealthy = (url: string): Promise<boolean> =>
    fetch(`${url}/health`).then(
        (response) => response.status === 200,
        () => false,
    );

/** Tries until it holds. Rejects with the last failure after `timeoutMs`, which ends a wait for nothing and judges no busy machine. */
export async function eventually<T>(attempt: () => Promise<T> | T, timeoutMs = 30_000): Promise<T> {
    const end = Date.now() + timeoutMs;
    for (;;) {
        try {
            return await attempt();
        } catch (error) {
            if (Date.now() > end) {
                throw error;
            }
            await delay(50);
        }
    }
}
