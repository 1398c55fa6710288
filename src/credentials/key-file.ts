/** The embedded mode's encryption key: a 0600 file beside its data. Everywhere else the operator supplies the key (E3). */
import fs from 'node:fs';
import { join } from 'node:path';
import { StartupError, type Config, type RingKey } from '../config.ts';
import type { Sources } from '../sources.ts';

export interface KeySource {
    ring: readonly RingKey[];
    /** For the start-up summary. */
    description: string;
}

/**
 * @param isUsed whether the database has data keys already: a key file that is missing then was lost, and is not made anew
 * @throws StartupError when a Postgres deployment has no key, or the key file cannot be used.
 */
export function findEncryptionKey(config: Pick<Config, 'database' | 'encryptionKeys'>, sources: Sources, isUsed = false): KeySource {
    if (config.encryptionKeys !== undefined) {
        const count = config.encryptionKeys.length;
        return { ring: config.encryptionKeys, description: `VALETKEY_ENCRYPTION_KEY${count > 1 ? ` (a ring of ${count} keys)` : ''}` };
    }
    if (config.database.kind !== 'embedded') {
        throw new StartupError(
            'VALETKEY_ENCRYPTION_KEY is not set, and credentials are never stored unsealed; make a key with: openssl rand -base64 32',
        );
    }
    const file = join(config.database.dataDir, 'encryption.key');
    if (isUsed && !fs.existsSync(file)) {
        throw new StartupError(`The encryption key file ${file} is missing, and nothing else opens the data beside it; restore it from a backup.`);
    }
    return { ring: [{ name: file, key: readOrCreate(file, sources), file }], description: `${file} (back it up with the database)` };
}

function readOrCreate(file: string, sources: Sources): Buffer {
    try {
        // wx: never replaces a key that seals existing data
        fs.writeFileSync(file, `${sources.random(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
            throw new StartupError(
                `The encryption key file ${file} cannot be written (${(error as NodeJS.ErrnoException).code}); make its directory writable.`,
            );
        }
    }
    let text: string;
    try {
        text = fs.readFileSync(file, 'utf8');
    } catch (error) {
        throw new StartupError(
            `The encryption key file ${file} cannot be read (${(error as NodeJS.ErrnoException).code}); make it readable for this user.`,
        );
    }
    const key = Buffer.from(text.trim(), 'base64');
    if (key.length !== 32) {
        throw new StartupError(`The encryption key file ${file} is damaged (it must hold base64 of 32 bytes); restore it from a backup.`);
    }
    return key;
}
