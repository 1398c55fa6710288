/** `valetkey prove` as its users run it: real processes, kills and pauses; short here, longer by hand. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { createDatabase } from '../peers/postgres.ts';
import { spawnValetkey, watch } from './valetkey.ts';

describe('valetkey prove', () => {
    let database: Awaited<ReturnType<typeof createDatabase>>;

    beforeAll(async () => {
        database = await createDatabase();
    });

    afterAll(() => database?.drop());

    const run = async (env: Record<string, string>, ...words: string[]): Promise<{ code: number | null; output: string }> => {
        const child = spawnValetkey('bin/valetkey', env, ['prove', ...words]);
        const { exited, output } = watch(child);
        return { code: (await exited).code, output: output() };
    };

    test('loses nothing that could be kept, says so, and removes its database', async () => {
        const options = ['--processes', '2', '--callers', '12', '--connections', '20', '--seconds', '15', '--pace', '6', '--seed', '7'];
        const { code, output } = await run({ DATABASE_URL: database.url }, ...options);
        expect(output).toContain('400 days of 5000 connections');
        expect(output).toMatch(/Refresh tokens presented once +[1-9]\d/);
        expect(output).toMatch(/Processes killed \/ stopped for a while +\d+ \/ \d+/);
        expect(output, output).not.toContain('does NOT hold');
        expect(output).toContain(`valetkey prove --seed 7 --processes 2`);
        expect(code).toBe(0);

        const client = new pg.Client({ connectionString: database.url });
        await client.connect();
        const { rows } = await client.query(`select datname from pg_database where datname like 'valetkey_prove_%'`);
        await client.end();
        expect(rows).toEqual([]);
    }, 180_000);

    test('says what it needs', async () => {
        const embedded = await run({});
        expect([embedded.code, embedded.output]).toEqual([1, expect.stringContaining('set DATABASE_URL') as string]);
        const wrong = await run({ DATABASE_URL: database.url }, '--processes', '1');
        expect([wrong.code, wrong.output]).toEqual([1, expect.stringContaining('--processes must be a whole number from 2') as string]);
    });

    test('its workers open no other database', async () => {
        const { code, output } = await run(
            { DATABASE_URL: database.url, VALETKEY_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') },
            '--worker',
            '0',
            '10',
        );
        expect([code, output]).toEqual([1, expect.stringContaining('Only "valetkey prove" starts its workers.') as string]);
    });
});
