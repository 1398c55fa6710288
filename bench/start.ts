/** From the spawn to the first answer, and the memory of a server that idles: embedded, and with Postgres. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Postgres } from './postgres.ts';
import { startServer } from './server-process.ts';
import { median, printFigures, type Figure } from './table.ts';

const starts = 5;
const idleMs = 5_000;

interface Target {
    seconds: number;
    megabytes: number;
}

export async function measureStarts(postgres: Postgres): Promise<void> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-bench-'));
    const database = await postgres.createDatabase();
    try {
        const embedded = await measure('embedded', { VALETKEY_DATA_DIR: join(directory, 'data') }, { seconds: 1.5, megabytes: 400 });
        const env = { DATABASE_URL: database.url, VALETKEY_ENCRYPTION_KEY: randomBytes(32).toString('base64') };
        const server = await measure('Postgres', env, { seconds: 0.8, megabytes: 130 });
        printFigures('Start to the first 200 of /health, and memory when idle', [...embedded, ...server]);
    } finally {
        await database.drop();
        await rm(directory, { recursive: true, force: true });
    }
}

async function measure(name: string, env: Record<string, string>, target: Target): Promise<Figure[]> {
    const variables = { ...env, LOG_LEVEL: 'warn' };
    const first = await startServer('bin/valetkey', variables);
    await first.stop();
    const times: number[] = [];
    let megabytes: number | undefined;
    for (let start = 0; start < starts; start++) {
        const server = await startServer('bin/valetkey', variables);
        times.push(server.startedInMs);
        if (start === starts - 1) {
            await delay(idleMs);
            megabytes = server.residentMb();
        }
        await server.stop();
    }
    return [
        { name: `${name}: first start, which makes the database`, value: shown(first.startedInMs) },
        {
            name: `${name}: start, median of ${starts}`,
            value: shown(median(times)),
            target: `< ${target.seconds} s`,
            isMet: median(times) < target.seconds * 1000,
        },
        { name: `${name}: start, fastest to slowest`, value: `${shown(Math.min(...times))} to ${shown(Math.max(...times))}` },
        ...(megabytes === undefined
            ? []
            : [
                  {
                      name: `${name}: memory, idle for ${idleMs / 1000} s`,
                      value: `${megabytes.toFixed(0)} MB`,
                      target: `< ${target.megabytes} MB`,
                      isMet: megabytes < target.megabytes,
                  },
              ]),
    ];
}

const shown = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
