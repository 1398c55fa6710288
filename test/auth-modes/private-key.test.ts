import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPrivateKey } from '../../src/auth-modes/private-key.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8'): string => key.export({ type: type as 'pkcs8', format: 'pem' }).toString();
const bare = (text: string): string => text.replaceAll(/-----[^-]+-----|\s/g, '');
const twice = (text: string): string => Buffer.from(text).toString('base64');

describe('readPrivateKey', () => {
    test.each<[string, KeyObject, string]>([
        ['PKCS#8', rsa, pem(rsa)],
        ['PKCS#1', rsa, pem(rsa, 'pkcs1')],
        ['an EC key in PKCS#8', ec, pem(ec)],
        ['SEC1', ec, pem(ec, 'sec1')],
        ['line breaks spelled out', rsa, pem(rsa).replaceAll('\n', '\\n')],
        ['one line', rsa, pem(rsa).replaceAll('\n', ' ')],
        ['Windows line breaks', rsa, pem(rsa).replaceAll('\n', '\r\n')],
        ['no lines around it', rsa, bare(pem(rsa))],
        ['PKCS#1 without lines around it', rsa, bare(pem(rsa, 'pkcs1'))],
        ['under the wrong label', rsa, pem(rsa, 'pkcs1').replaceAll('RSA PRIVATE KEY', 'PRIVATE KEY')],
        ['a PEM encoded once more', ec, twice(pem(ec))],
        ['base64 encoded once more', rsa, twice(bare(pem(rsa)))],
        ['as SAP hands it out', rsa, `-----BEGIN PRIVATE KEY-----\n${twice(`${bare(pem(rsa))}###admin`)}\n-----END PRIVATE KEY-----`],
    ])('%s', (_name, key, text) => {
        expect(readPrivateKey(text)?.equals(key)).toBe(true);
    });

    test.each([
        ['nothing', ''],
        ['words', 'my key'],
        ['a public key', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }).toString()],
        ['a key behind a passphrase', rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' }).toString()],
    ])('%s is none', (_name, text) => {
        expect(readPrivateKey(text)).toBeUndefined();
    });

    test('no text makes it throw', () => {
        fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), (text) => readPrivateKey(text) === undefined));
    });
});
