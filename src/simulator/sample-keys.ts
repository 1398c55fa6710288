/** Key material for samples. Made once per process and kind, when a sample needs it: node:crypto draws its own randomness. */
import { generateKeyPairSync, sign } from 'node:crypto';

export interface SampleKey {
    /** PKCS#8 PEM. */
    readonly privateKey: string;
    /** SPKI PEM. */
    readonly publicKey: string;
    readonly privateJwk: Readonly<Record<string, unknown>>;
    /** Self-signed, for the same key. */
    readonly certificate: string;
}

export type KeyKind = 'rsa' | 'ec' | 'ed25519';

const made = new Map<KeyKind, SampleKey>();

export function sampleKey(kind: KeyKind): SampleKey {
    const known = made.get(kind);
    if (known !== undefined) return known;
    const { privateKey, publicKey } =
        kind === 'rsa'
            ? generateKeyPairSync('rsa', { modulusLength: 2048 })
            : kind === 'ec'
              ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
              : generateKeyPairSync('ed25519');
    const key: SampleKey = {
        privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
        publicKey: publicKey.export({ type: 'spki', format: 'pem' }),
        privateJwk: { ...privateKey.export({ format: 'jwk' }), kid: 'simulated-key-1' },
        certificate: certificateOf(
            publicKey.export({ type: 'spki', format: 'der' }),
            (body) => sign(kind === 'ed25519' ? null : 'sha256', body, privateKey),
            kind,
        ),
    };
    made.set(kind, key);
    return key;
}

/** AlgorithmIdentifiers of RFC 4055 §5, RFC 5758 §3.2 and RFC 8410 §3. */
const algorithms: Readonly<Record<KeyKind, string>> = {
    rsa: '300d06092a864886f70d01010b0500',
    ec: '300a06082a8648ce3d040302',
    ed25519: '300506032b6570',
};

/** An X.509 certificate (RFC 5280), because node:crypto signs but does not issue. Valid 2020 to 2049. */
function certificateOf(publicKey: Buffer, signBody: (body: Buffer) => Buffer, kind: KeyKind): string {
    const algorithm = Buffer.from(algorithms[kind], 'hex');
    const name = sequence(der(0x31, sequence(der(0x06, Buffer.from('550403', 'hex')), der(0x0c, Buffer.from('valetkey simulator')))));
    const body = sequence(
        der(0xa0, der(0x02, Buffer.from([2]))), // v3
        der(0x02, Buffer.from([1])), // serial number
        algorithm,
        name,
        sequence(der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z'))),
        name,
        publicKey,
    );
    const base64 = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signBody(body)]))).toString('base64');
    return `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function der(tag: number, content: Buffer): Buffer {
    const { length } = content;
    const prefix = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
    return Buffer.concat([Buffer.from(prefix), content]);
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, Buffer.concat(parts));
