/**
 * Opens the vault at start: unwraps the data keys with the operator's ring, makes the first ones, and re-wraps them when
 * the ring has a newer key. Rotating the operator's key is therefore: put the new key first in the ring, restart, and
 * remove the old one after every replica has restarted. Values need not be sealed again for that.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { Kysely } from 'kysely';
import { StartupError, type RingKey } from '../config.ts';
import type { Sources } from '../sources.ts';
import * as dataKeys from '../store/data-keys.ts';
import type { DataKeyRow, Schema } from '../store/schema.ts';
import { Vault, type DataKey } from './vault.ts';

type Purpose = DataKeyRow['purpose'];

/** Labelled moments of replacing keys, the operator's (the first) and the data key (the others), for fault injection. */
export type RotationStep = 'key-rewrapped' | 'key-made' | 'value-opened' | 'values-sealed';
export type OnRotationStep = (step: RotationStep) => void | Promise<void>;

/** @throws StartupError when the ring does not open the data keys of this database. */
export async function openVault(db: Kysely<Schema>, ring: readonly RingKey[], sources: Sources, onStep?: OnRotationStep): Promise<Vault> {
    const wrappers = ring.map((entry) => new Wrapper(entry));
    const newest = wrappers[0];
    if (newest === undefined) {
        throw new StartupError('VALETKEY_ENCRYPTION_KEY holds no key; make one with: openssl rand -base64 32');
    }
    const load = async (): Promise<{ seal: DataKey[]; lookup: DataKey[] }> => {
        const keys = (await dataKeys.list(db)).map((row) => ({ purpose: row.purpose, ...unwrap(row, wrappers) }));
        return { seal: keys.filter((key) => key.purpose === 'seal'), lookup: keys.filter((key) => key.purpose === 'lookup') };
    };
    await load();
    await dataKeys.insertFirst(
        db,
        (['seal', 'lookup'] as const).map((purpose) => newDataKey(purpose, newest, sources)),
    );
    for (const row of await dataKeys.list(db)) {
        if (!row.wrapped.startsWith(`v1.${newest.fingerprint}.`)) {
            await dataKeys.rewrap(db, row, newest.wrap(unwrap(row, wrappers).key, row.id, row.purpose, sources));
            await onStep?.('key-rewrapped');
        }
    }
    return new Vault(sources, await load(), load);
}

/** Makes a new current data key for `purpose`; older ones keep opening what they sealed (E2). */
export async function rotateDataKey(db: Kysely<Schema>, ring: readonly RingKey[], sources: Sources): Promise<void> {
    await dataKeys.replaceCurrent(db, newDataKey('seal', new Wrapper(ring[0]!), sources));
}

function newDataKey(purpose: Purpose, wrapper: Wrapper, sources: Sources): DataKeyRow {
    const id = sources.random(6).toString('hex');
    return {
        id,
        purpose,
        is_current: true,
        wrapped: wrapper.wrap(sources.random(32), id, purpose, sources),
        created_at: new Date(sources.now()),
    };
}

function unwrap(row: DataKeyRow, wrappers: readonly Wrapper[]): DataKey {
    const wrapper = wrappers.find((candidate) => row.wrapped.startsWith(`v1.${candidate.fingerprint}.`));
    const key = wrapper?.unwrap(row.wrapped, row.id, row.purpose);
    if (key === undefined) {
        const file = wrappers[0]?.file;
        throw new StartupError(
            file === undefined
                ? 'VALETKEY_ENCRYPTION_KEY is not the key this database was created with; set the original key, ' +
                      'or a ring "new:<base64>,old:<base64>" that contains it. No key and no secret was changed.'
                : `The encryption key file ${file} does not hold the key this database was created with; restore it from a backup. ` +
                      'No key and no secret was changed.',
        );
    }
    return { id: row.id, key, isCurrent: row.is_current };
}

/** A key of the operator's ring. Its fingerprint is derived, so that it reveals nothing about the key. */
class Wrapper {
    readonly fingerprint: string;
    readonly file: string | undefined;
    readonly #key: Buffer;

    constructor(entry: RingKey) {
        this.file = entry.file;
        this.fingerprint = Buffer.from(hkdfSync('sha256', entry.key, '', 'valetkey fingerprint', 6)).toString('hex');
        this.#key = Buffer.from(hkdfSync('sha256', entry.key, '', 'valetkey wrap', 32));
    }

    wrap(key: Buffer, id: string, purpose: Purpose, sources: Sources): string {
        const iv = sources.random(12);
        const cipher = createCipheriv('aes-256-gcm', this.#key, iv);
        cipher.setAAD(Buffer.from(`data_keys\n${purpose}\n${id}`));
        const wrapped = Buffer.concat([cipher.update(key), cipher.final()]);
        return ['v1', this.fingerprint, iv.toString('base64url'), wrapped.toString('base64url'), cipher.getAuthTag().toString('base64url')].join('.');
    }

    unwrap(text: string, id: string, purpose: Purpose): Buffer | undefined {
        const [, , iv = '', wrapped = '', tag = ''] = text.split('.');
        try {
            const decipher = createDecipheriv('aes-256-gcm', this.#key, Buffer.from(iv, 'base64url'), { authTagLength: 16 });
            decipher.setAAD(Buffer.from(`data_keys\n${purpose}\n${id}`));
            decipher.setAuthTag(Buffer.from(tag, 'base64url'));
            return Buffer.concat([decipher.update(Buffer.from(wrapped, 'base64url')), decipher.final()]);
        } catch {
            return undefined;
        }
    }
}
