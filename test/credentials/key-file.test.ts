import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StartupError, type Config } from '../../src/config.ts';
import { findEncryptionKey } from '../../src/credentials/key-file.ts';
import { systemSources } from '../../src/sources.ts';

let dataDir: string;
let file: string;
beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'valetkey-key-'));
    file = join(dataDir, 'encryption.key');
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const find = (config: Partial<Pick<Config, 'database' | 'encryptionKeys'>> = {}) =>
    findEncryptionKey({ database: { kind: 'embedded', dataDir }, encryptionKeys: undefined, ...config }, systemSources);

function refusal(attempt: () => unknown): string {
    try {
        attempt();
    } catch (error) {
        expect(error).toBeInstanceOf(StartupError);
        return (error as Error).message;
    }
    throw new Error('it was accepted');
}

describe('without a configured key', () => {
    test('an embedded database gets a key file for its owner alone, and keeps it', async () => {
        const { ring, description } = find();
        expect(ring.map(({ key }) => key.length)).toEqual([32]);
        expect((await stat(file)).mode & 0o777).toBe(0o600);
        expect(Buffer.from(await readFile(file, 'utf8'), 'base64')).toEqual(ring[0]!.key);
        expect(description).toContain(file);
        expect(find().ring[0]!.key).toEqual(ring[0]!.key);
    });

    test('a Postgres database is refused, with the command that makes a key (E3)', () => {
        const database = { kind: 'postgres', url: 'postgres://u:secret@h/d', poolSize: 1 } as const;
        const message = refusal(() => find({ database }));
        expect(message).toContain('VALETKEY_ENCRYPTION_KEY is not set');
        expect(message).toContain('openssl rand -base64 32');
    });

    test.each(['', 'not a key', Buffer.alloc(16).toString('base64'), Buffer.alloc(33).toString('base64')])(
        'a damaged file (%j) is refused and left as it is',
        async (content) => {
            await writeFile(file, content);
            const message = refusal(find);
            expect(message).toContain(file);
            expect(message).toMatch(/damaged.*backup/);
            expect(await readFile(file, 'utf8')).toBe(content);
        },
    );

    test('a file that cannot be read is refused by its name', async () => {
        await mkdir(file);
        expect(refusal(find)).toContain(`${file} cannot be read (EISDIR)`);
    });

    test('a file that is missing beside a used database is not made anew: nothing would open the data', async () => {
        const message = refusal(() => findEncryptionKey({ database: { kind: 'embedded', dataDir }, encryptionKeys: undefined }, systemSources, true));
        expect(message).toContain(file);
        expect(message).toMatch(/missing.*backup/);
        await expect(stat(file)).rejects.toThrow('ENOENT');
        const { ring } = find();
        expect(findEncryptionKey({ database: { kind: 'embedded', dataDir }, encryptionKeys: undefined }, systemSources, true).ring).toEqual(ring);
    });

    test('a file that cannot be written is refused by its name', async () => {
        await rm(dataDir, { recursive: true });
        expect(refusal(find)).toContain(`${file} cannot be written (ENOENT)`);
    });
});

describe('with configured keys', () => {
    const keys = [1, 2].map((number) => ({ name: `k${number}`, key: Buffer.alloc(32, number) }));

    test('they are used, and no file is made', async () => {
        expect(find({ encryptionKeys: keys })).toEqual({ ring: keys, description: 'VALETKEY_ENCRYPTION_KEY (a ring of 2 keys)' });
        expect(find({ encryptionKeys: [keys[0]!] }).description).toBe('VALETKEY_ENCRYPTION_KEY');
        await expect(stat(file)).rejects.toThrow('ENOENT');
    });
});
