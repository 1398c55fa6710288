/** What the embedded dialect mends in PGlite: one process per directory, and commits that survive. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { StartupError } from '../../src/config.ts';
import { openDatabase, type Database } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { insertEnvironment } from './rows.ts';

let scratch: string;
beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'valetkey-embedded-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const open = (dataDir: string): Promise<Database> => openDatabase({ kind: 'embedded', dataDir });

async function refusal(opening: Promise<Database>): Promise<string> {
    const error = await opening.then(
        () => undefined,
        (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(StartupError);
    expect((error as Error).message).not.toContain('\n');
    return (error as Error).message;
}

describe('an embedded database', () => {
    let dataDir: string;
    let database: Database;
    beforeAll(async () => {
        dataDir = join(scratch, 'deep', 'data');
        database = await open(dataDir);
        await migrate(database.db);
    });
    afterAll(() => database.close());

    test('is in a directory for its owner alone, and so are the parents that were made', async () => {
        for (const directory of [dataDir, dirname(dataDir)]) {
            expect((await stat(directory)).mode & 0o777).toBe(0o700);
        }
    });

    test('is not opened a second time: the refusal names the directory and a way out', async () => {
        const message = await refusal(open(dataDir));
        expect(message).toMatch(/Another Valetkey process/);
        expect(message).toContain(dataDir);
        expect(message).toContain('DATABASE_URL');
        await database.ping();
    });

    test('sends every commit to the disk; a read writes nothing', async () => {
        const syncs = vi.spyOn(fs, 'fdatasyncSync');
        try {
            for (let commits = 1; commits <= 5; commits += 1) {
                await insertEnvironment(database.db);
                expect(syncs.mock.calls.length).toBeGreaterThanOrEqual(commits);
            }
            syncs.mockClear();
            await database.db.selectFrom('environments').selectAll().execute();
            expect(syncs).not.toHaveBeenCalled();
        } finally {
            syncs.mockRestore();
        }
    });

    test('gives its directory back when closed, and opens again with what was written', async () => {
        const id = await insertEnvironment(database.db, 'kept');
        await database.close();
        database = await open(dataDir);
        expect(await database.db.selectFrom('environments').select('id').where('name', '=', 'kept').execute()).toEqual([{ id }]);
    });
});

test('another process is refused while one runs, and kill -9 of that one loses no acknowledged row and holds no lock', async () => {
    const dataDir = join(scratch, 'killed');
    const child = spawn(process.execPath, [join(import.meta.dirname, 'commit-rows.ts'), dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout);
    const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]);
    const acknowledged: string[] = [];
    lines.on('line', (line) => acknowledged.push(line));

    await once(lines, 'line');
    expect(await refusal(open(dataDir))).toContain(dataDir);

    await expect.poll(() => acknowledged.length, { timeout: 45_000 }).toBeGreaterThanOrEqual(200);
    child.kill('SIGKILL');
    await ended;
    const database = await open(dataDir);
    const rows = await database.db.selectFrom('environments').select('id').execute();
    const kept = new Set(rows.map((row) => row.id));
    // The last line may have been cut short by the kill.
    expect(acknowledged.filter((id) => id.length === 36 && !kept.has(id))).toEqual([]);
    expect(await migrate(database.db)).toEqual([]);
    await database.close();
}, 60_000);

describe('a directory', () => {
    test('that is a file is refused in one sentence that names it', async () => {
        const file = join(scratch, 'file');
        await writeFile(file, '');
        expect(await refusal(open(file))).toContain(file);
    });

    test('whose database is damaged is refused, and its lock given back', async () => {
        const dataDir = join(scratch, 'damaged');
        await mkdir(join(dataDir, 'postgres'), { recursive: true });
        await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '9.6\n');
        expect(await refusal(open(dataDir))).toMatch(/cannot be opened.*backup/);
        expect(await refusal(open(dataDir))).not.toMatch(/Another Valetkey process/);
    });
});
