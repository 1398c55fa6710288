/**
 * The vault: the only code that turns secrets into sealed text and back, and tokens into lookup hashes.
 *
 * Envelope (E2): the operator's ring holds key-encryption keys; they wrap data keys kept in `data_keys`; every column is
 * sealed under its own HKDF subkey of the current data key. A sealed value names its data key, so all keys ever used open.
 * Additional authenticated data binds a value to its place (E1): moved to another row, column or environment it does not open.
 */
import {
    createCipheriv,
    createDecipheriv,
    createHmac,
    createSecretKey,
    hkdfSync,
    timingSafeEqual,
    type CipherGCMTypes,
    type KeyObject,
} from 'node:crypto';
import type { Sources } from '../sources.ts';

/** Where a value lives; part of what its seal authenticates (RFC 5116 §2.1). */
export interface SealedPlace {
    environmentId: string;
    table: string;
    column: string;
    rowId: string;
}

export interface DataKey {
    id: string;
    key: Buffer;
    isCurrent: boolean;
}

export type VaultErrorCode = 'malformed_seal' | 'unknown_key' | 'seal_broken';

/** A value that cannot be opened. Never carries the value. */
export class VaultError extends Error {
    override readonly name = 'VaultError';
    readonly code: VaultErrorCode;
    readonly place: string;

    constructor(code: VaultErrorCode, place: string) {
        super(`${place}: ${code}`);
        this.code = code;
        this.place = place;
    }
}

const algorithm: CipherGCMTypes = 'aes-256-gcm';
const version = 'v1';
const ivBytes = 12;
const tagBytes = 16;

export class Vault {
    readonly #sources: Sources;
    readonly #refresh: () => Promise<{ seal: DataKey[]; lookup: DataKey[] }>;
    readonly #subkeys = new Map<string, KeyObject>();
    #sealKeys = new Map<string, DataKey>();
    #currentSealKey!: DataKey;
    #peppers: DataKey[] = [];

    /** @param refresh reads the data keys anew, when a value names a key that another replica has made since. */
    constructor(sources: Sources, keys: { seal: DataKey[]; lookup: DataKey[] }, refresh: () => Promise<{ seal: DataKey[]; lookup: DataKey[] }>) {
        this.#sources = sources;
        this.#refresh = refresh;
        this.#use(keys);
    }

    get currentKeyId(): string {
        return this.#currentSealKey.id;
    }

    /** @returns `v1.<key id>.<iv>.<ciphertext>.<tag>`, parts in base64url. */
    seal(plaintext: string, place: SealedPlace): string {
        const key = this.#currentSealKey;
        const iv = this.#sources.random(ivBytes);
        const cipher = createCipheriv(algorithm, this.#subkey(key, place), iv, { authTagLength: tagBytes });
        cipher.setAAD(additionalData(key.id, place));
        // GCM gives all of it at once: `final` only makes the tag (NIST SP 800-38D §7.1).
        const ciphertext = cipher.update(plaintext, 'utf8');
        cipher.final();
        return `${version}.${key.id}.${iv.toString('base64url')}.${ciphertext.toString('base64url')}.${cipher.getAuthTag().toString('base64url')}`;
    }

    /** @throws VaultError; there is no plaintext fallback. */
    open(sealed: string, place: SealedPlace): string {
        const [format, keyId, iv, ciphertext, tag, ...rest] = sealed.split('.');
        if (format !== version || !keyId || !iv || ciphertext === undefined || !tag || rest.length > 0) {
            throw new VaultError('malformed_seal', `${place.table}.${place.column}`);
        }
        const key = this.#sealKeys.get(keyId);
        if (key === undefined) {
            throw new VaultError('unknown_key', `${place.table}.${place.column}`);
        }
        try {
            const decipher = createDecipheriv(algorithm, this.#subkey(key, place), Buffer.from(iv, 'base64url'), { authTagLength: tagBytes });
            decipher.setAAD(additionalData(keyId, place));
            decipher.setAuthTag(Buffer.from(tag, 'base64url'));
            return decipher.update(ciphertext, 'base64url', 'utf8') + decipher.final('utf8');
        } catch {
            throw new VaultError('seal_broken', `${place.table}.${place.column}`);
        }
    }

    sealJson(value: unknown, place: SealedPlace): string {
        return this.seal(JSON.stringify(value), place);
    }

    openJson<T>(sealed: string, place: SealedPlace): T {
        return JSON.parse(this.open(sealed, place)) as T;
    }

    /** As `open`, but looks once for a data key that was made after this process started. */
    async openFresh(sealed: string, place: SealedPlace): Promise<string> {
        try {
            return this.open(sealed, place);
        } catch (error) {
            if (!(error instanceof VaultError && error.code === 'unknown_key')) {
                throw error;
            }
            await this.reload();
            return this.open(sealed, place);
        }
    }

    /** The lookup hash of a bearer value under the current pepper: `<pepper id>.<base64url HMAC-SHA256>`. */
    hash(value: string): string {
        const [pepper] = this.#peppers;
        return `${pepper!.id}.${createHmac('sha256', pepper!.key).update(value).digest('base64url')}`;
    }

    /** The hashes a stored value may have, newest pepper first. */
    hashes(value: string): string[] {
        return this.#peppers.map((pepper) => `${pepper.id}.${createHmac('sha256', pepper.key).update(value).digest('base64url')}`);
    }

    async reload(): Promise<void> {
        this.#use(await this.#refresh());
    }

    #use(keys: { seal: DataKey[]; lookup: DataKey[] }): void {
        const current = keys.seal.find((key) => key.isCurrent);
        if (current === undefined || keys.lookup.length === 0) {
            throw new Error('a vault needs a current data key and a pepper');
        }
        this.#sealKeys = new Map(keys.seal.map((key) => [key.id, key]));
        this.#currentSealKey = current;
        this.#peppers = keys.lookup.toSorted((a, b) => Number(b.isCurrent) - Number(a.isCurrent));
    }

    /** One key per column, so that no two kinds of secret share a key (RFC 5869). */
    #subkey(key: DataKey, place: SealedPlace): KeyObject {
        const name = `${key.id}/${place.table}.${place.column}`;
        let subkey = this.#subkeys.get(name);
        if (subkey === undefined) {
            subkey = createSecretKey(Buffer.from(hkdfSync('sha256', key.key, key.id, `valetkey seal ${place.table}.${place.column}`, 32)));
            this.#subkeys.set(name, subkey);
        }
        return subkey;
    }
}

/** None of the parts can hold a line break, so the joined form is unambiguous. */
const additionalData = (keyId: string, place: SealedPlace): Buffer =>
    Buffer.from([version, keyId, place.environmentId, place.table, place.column, place.rowId].join('\n'));

/** Compares two secrets without revealing by timing where they differ, whatever their lengths. */
export function equalInConstantTime(a: string, b: string): boolean {
    const left = createHmac('sha256', 'compare').update(a).digest();
    const right = createHmac('sha256', 'compare').update(b).digest();
    return timingSafeEqual(left, right);
}
