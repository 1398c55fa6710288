/** API keys: `vk_<environment>_<33 random base62 characters><6 characters of checksum>`; UUID v4 keys remain valid (S5). */
import { crc32 } from 'node:zlib';
import type { Sources } from '../sources.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
export const isUuidV4 = (text: string): boolean => uuidV4.test(text);

const uuidV4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const randomLength = 33;
const checksumLength = 6;

/** 24 random bytes: 192 bits. The checksum lets scanners and people recognise a mistyped key without a database. */
export function newApiKey(environment: string, sources: Sources): string {
    const head = `vk_${environment}_${base62(BigInt(`0x${sources.random(24).toString('hex')}`), randomLength)}`;
    return head + checksum(head);
}

/** UUIDs are the same key in either case; other keys are what they are. */
export const canonicalKey = (text: string): string => (uuidV4.test(text) ? text.toLowerCase() : text);

/** Whether a text can be a key at all; keys fixed by the operator (`VALETKEY_SECRET_KEY_<ENV>`) are any 32 or more safe characters. */
export function isKeyShaped(text: string): boolean {
    if (uuidV4.test(text)) {
        return true;
    }
    if (/^vk_[a-z0-9_-]+_[0-9A-Za-z]{39}$/.test(text)) {
        return text.endsWith(checksum(text.slice(0, -checksumLength)));
    }
    return /^[A-Za-z0-9_-]{32,255}$/.test(text) && !text.startsWith('nango_connect_session_');
}

const checksum = (text: string): string => base62(BigInt(crc32(text)), checksumLength);

function base62(value: bigint, length: number): string {
    let text = '';
    for (let rest = value; text.length < length; rest /= 62n) {
        text = alphabet[Number(rest % 62n)] + text;
    }
    return text;
}
