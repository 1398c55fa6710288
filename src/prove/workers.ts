/** The processes of Valetkey that a proof runs, kills and stops: each a real one, all on one database. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Egress } from '../egress/egress.ts';
import type { Sources } from '../sources.ts';
import type { Pace } from './pace.ts';

export interface Worker {
    /** New with each start; part of the token URL that this process calls. */
    number: number;
    url: string;
    state: 'starting' | 'running' | 'paused' | 'dead';
}

/** A time at which a process was killed or stood still, ms on the proof's clock. */
export interface Disturbance {
    worker: number;
    kind: 'killed' | 'paused';
    from: number;
    /** Of a kill: the same moment. */
    until: number;
}

export interface WorkerSetup {
    databaseUrl: string;
    apiKey: string;
    encryptionKey: string;
    pace: Pace;
    /** Provider file for the process with this number. */
    providersFor(worker: number): string;
    /** On the proof's clock. */
    sources: Sources;
    /** On the wall's. */
    wall: Sources;
    egress: Egress;
}

const startWithinMs = 60_000;
/** Two pauses with less between them count as one, ms on the proof's clock. */
const awakeMs = 3_000;
const launcher = join(import.meta.dirname, '../../bin/valetkey');

export class Workers {
    readonly #setup: WorkerSetup;
    readonly #slots: { worker: Worker; process: ChildProcess }[] = [];
    readonly disturbances: Disturbance[] = [];
    #directory = '';
    #numbers = 0;

    constructor(setup: WorkerSetup) {
        this.#setup = setup;
    }

    get all(): readonly Worker[] {
        return this.#slots.map(({ worker }) => worker);
    }

    /** The first prepares the database, the others find it ready. */
    async start(count: number): Promise<void> {
        this.#directory = await mkdtemp(join(tmpdir(), 'valetkey-prove-'));
        for (let slot = 0; slot < count; slot += 1) {
            await this.#startIn(slot);
        }
    }

    /** `kill -9`, and another process in its place. */
    async replace(slot: number): Promise<void> {
        const { worker, process } = this.#slots[slot]!;
        const at = this.#setup.sources.now();
        worker.state = 'dead';
        this.disturbances.push({ worker: worker.number, kind: 'killed', from: at, until: at });
        const ended = once(process, 'exit');
        process.kill('SIGKILL');
        await ended;
        await this.#startIn(slot);
    }

    async pause(slot: number, ms: number): Promise<void> {
        const { worker, process } = this.#slots[slot]!;
        const { sources } = this.#setup;
        const from = sources.now();
        worker.state = 'paused';
        process.kill('SIGSTOP');
        await sources.sleep(ms);
        process.kill('SIGCONT');
        worker.state = 'running';
        const last = this.disturbances.findLast((disturbance) => disturbance.worker === worker.number);
        if (last?.kind === 'paused' && from - last.until < awakeMs) {
            // Too short a while to do anything in between.
            last.until = sources.now();
            return;
        }
        this.disturbances.push({ worker: worker.number, kind: 'paused', from, until: sources.now() });
    }

    async stop(): Promise<void> {
        await Promise.all(
            this.#slots.map(async ({ process }) => {
                if (process.exitCode === null && process.signalCode === null) {
                    const ended = once(process, 'exit');
                    process.kill('SIGCONT');
                    process.kill('SIGKILL');
                    await ended;
                }
            }),
        );
        if (this.#directory !== '') {
            await rm(this.#directory, { recursive: true, force: true });
        }
    }

    async #startIn(slot: number): Promise<void> {
        const { databaseUrl, apiKey, encryptionKey, pace, providersFor } = this.#setup;
        const number = (this.#numbers += 1);
        const providers = join(this.#directory, `providers-${number}.yaml`);
        await writeFile(providers, providersFor(number));
        const process = spawn(globalThis.process.execPath, [launcher, 'prove', '--worker', String(pace.origin), String(pace.factor)], {
            env: {
                PORT: '0',
                HOST: '127.0.0.1',
                DATABASE_URL: databaseUrl,
                VALETKEY_ENCRYPTION_KEY: encryptionKey,
                VALETKEY_SECRET_KEY_DEV: apiKey,
                VALETKEY_PROVIDERS: providers,
                VALETKEY_EGRESS_ALLOW: '127.0.0.0/8',
                VALETKEY_RATE_LIMIT_PER_MIN: '100000000',
                LOG_LEVEL: 'error',
            },
            stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        });
        const worker: Worker = { number, url: '', state: 'starting' };
        this.#slots[slot] = { worker, process };
        worker.url = `http://127.0.0.1:${await this.#portOf(process)}`;
        worker.state = 'running';
    }

    /** @throws with what the process printed when it does not serve. */
    async #portOf(process: ChildProcess): Promise<number> {
        let output = '';
        process.stdout?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000)));
        process.stderr?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000)));
        const abort = new AbortController();
        const failed = once(process, 'exit', { signal: abort.signal }).then(() => 'it ended');
        const late = this.#setup.wall.sleep(startWithinMs, abort.signal).then(() => 'it took longer than a minute');
        const ready = once(process, 'message', { signal: abort.signal }).then(([message]) => (message as { port: number }).port);
        for (const waiting of [failed, late, ready]) {
            waiting.catch(() => {});
        }
        const outcome = await Promise.race([failed, late, ready]);
        abort.abort();
        if (typeof outcome === 'string') {
            throw new Error(`A process of the proof did not start: ${outcome}.\n${output}`);
        }
        return outcome;
    }
}
