/** A self-signed X.509 certificate (RFC 5280), because node:crypto signs but does not issue. P-256, valid 2020 to 2049. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface ServerCertificate {
    cert: string;
    key: string;
}

/** `subjects`: host names and IPv4 addresses for the subjectAltName. */
export function selfSigned(subjects: readonly string[], notAfter = '491231235959Z'): ServerCertificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
    const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from('valetkey test')))));
    const altNames = subjects.map((subject) =>
        isIP(subject) === 0 ? der(0x82, Buffer.from(subject)) : der(0x87, Buffer.from(subject.split('.').map(Number))),
    );
    const body = sequence(
        der(0xa0, der(0x02, Buffer.from([2]))), // v3
        der(0x02, Buffer.from([1])), // serial number
        ecdsaWithSha256,
        name,
        sequence(der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from(notAfter))),
        name,
        publicKey.export({ type: 'spki', format: 'der' }),
        der(0xa3, sequence(sequence(oid('551d11'), der(0x04, sequence(...altNames))))), // subjectAltName
    );
    const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, privateKey)]));
    const base64 = sequence(body, ecdsaWithSha256, signature).toString('base64');
    return {
        cert: `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    };
}

function der(tag: number, content: Buffer): Buffer {
    const { length } = content;
    const prefix = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
    return Buffer.concat([Buffer.from(prefix), content]);
}

function sequence(...parts: Buffer[]): Buffer {
    return der(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
    return der(0x06, Buffer.from(hex, 'hex'));
}
