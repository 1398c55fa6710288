/** A connection's client certificate (RFC 8705 §2, N6), as it was pasted → what the TLS handshake needs. */
import { X509Certificate, type KeyObject } from 'node:crypto';
import type { ClientCertificate } from '../egress/egress.ts';
import { readPrivateKey } from './private-key.ts';

export type CertificateField = 'client_certificate' | 'client_private_key';

/** Names the field, never what is in it. */
export class UnusableCertificate extends Error {
    override readonly name = 'UnusableCertificate';
    readonly field: CertificateField;

    constructor(field: CertificateField, fault: string) {
        super(`${field} ${fault}.`);
        this.field = field;
    }
}

/** NIST SP 800-131A: below that, a key is no proof of anything. */
const smallestRsaBits = 2048;
const strongCurves: readonly unknown[] = ['prime256v1', 'secp384r1', 'secp521r1'];

const armoured = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** @throws UnusableCertificate */
export function readClientCertificate(submitted: Partial<Record<CertificateField, string>>): ClientCertificate {
    const chain = certificatesIn(submitted.client_certificate ?? '');
    const key = readPrivateKey(submitted.client_private_key ?? '');
    if (chain === undefined) {
        throw new UnusableCertificate('client_certificate', 'is not an X.509 certificate in PEM form');
    }
    if (key === undefined) {
        throw new UnusableCertificate('client_private_key', 'is not a private key in PEM form, without a passphrase');
    }
    if (!isStrong(key)) {
        throw new UnusableCertificate('client_private_key', `is too weak: RSA needs ${smallestRsaBits} bits or more, EC a curve of NIST`);
    }
    if (!chain[0]!.checkPrivateKey(key)) {
        throw new UnusableCertificate('client_private_key', 'is not the key of client_certificate');
    }
    return {
        certificate: chain.map((certificate) => certificate.toString()).join(''),
        key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
}

/** The client's own, and those of its issuers behind it. `undefined`: there is none, or one of them cannot be read. */
function certificatesIn(text: string): X509Certificate[] | undefined {
    const found = text.replaceAll('\\n', '\n').match(armoured) ?? [];
    try {
        // DER, so that the layout of the text does not matter.
        const chain = found.map((pem) => new X509Certificate(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64')));
        return chain.length === 0 ? undefined : chain;
    } catch {
        return undefined;
    }
}

function isStrong({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
    switch (type) {
        case 'rsa':
        case 'rsa-pss':
            return (details?.modulusLength ?? 0) >= smallestRsaBits;
        case 'ec':
            return strongCurves.includes(details?.namedCurve);
        default:
            return type === 'ed25519' || type === 'ed448';
    }
}
