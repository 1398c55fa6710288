/** SAML 2.0 bearer assertions as OAuth grants (RFC 7522 §3): built, and signed with an enveloped signature. */
import type { KeyObject } from 'node:crypto';
import type { ValueTree } from '../../providers/value-template.ts';
import { newRandomId, type Sources } from '../../sources.ts';
import { writeXml } from './xml.ts';

/** What an entry may say about an assertion, its expressions filled in. */
export interface SamlOptions {
    issuer: string;
    nameIdentifier: string;
    recipient: string;
    audiences: readonly string[];
    attributes: Readonly<Record<string, ValueTree>>;
    sessionIndex?: string | undefined;
    nameIdentifierFormat?: string | undefined;
    authnContextClassRef?: string | undefined;
    inResponseTo?: string | undefined;
    /** ID of the assertion. Default: a new one. */
    uid?: string | undefined;
    /** `xsi:type` on attribute values; default true. */
    typedAttributes?: boolean;
    /** `NameFormat` on attributes; default true. */
    includeAttributeNameFormat?: boolean;
    /** Seconds that the entry allows. */
    longest: number;
}

/** R11: the audience's clock may be behind ours. */
const backdatedMs = 30_000;
/** N8: as short as servers that document a limit expect; the entry of SAP asks for ten years. */
const longestSeconds = 600;

const algorithm = {
    exclusiveC14n: 'http://www.w3.org/2001/10/xml-exc-c14n#',
    envelopedSignature: 'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
    rsaSha256: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    sha256: 'http://www.w3.org/2001/04/xmlenc#sha256',
};
const unspecifiedName = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified';
const unspecifiedContext = 'urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified';
const basicNameFormat = 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic';

/** Base64, as the grant wants it. @param key RSA @param certificate PEM, named in the signature where there is one */
export async function signSamlAssertion(options: SamlOptions, key: KeyObject, certificate: string | undefined, sources: Sources): Promise<string> {
    const { SignedXml } = await import('xml-crypto');
    const signature = new SignedXml({
        privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
        signatureAlgorithm: algorithm.rsaSha256,
        canonicalizationAlgorithm: algorithm.exclusiveC14n,
        ...(certificate === undefined ? {} : { publicCert: certificate, getKeyInfoContent: SignedXml.getKeyInfoContent }),
    });
    signature.addReference({
        xpath: '/*',
        digestAlgorithm: algorithm.sha256,
        transforms: [algorithm.envelopedSignature, algorithm.exclusiveC14n],
    });
    signature.computeSignature(assertionXml(options, sources), {
        prefix: 'ds',
        location: { reference: "/*/*[local-name(.)='Issuer']", action: 'after' },
    });
    return Buffer.from(signature.getSignedXml(), 'utf8').toString('base64');
}

function assertionXml(options: SamlOptions, sources: Sources): string {
    const now = sources.now();
    const notBefore = instant(now - backdatedMs);
    const notAfter = instant(now - backdatedMs + Math.min(options.longest, longestSeconds) * 1000);
    return writeXml({
        'saml:Assertion': {
            '$xmlns:saml': 'urn:oasis:names:tc:SAML:2.0:assertion',
            '$xmlns:xs': 'http://www.w3.org/2001/XMLSchema',
            '$xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
            $Version: '2.0',
            // An NCName must not begin with a digit.
            $ID: options.uid ?? `_${newRandomId(sources)}`,
            $IssueInstant: instant(now),
            'saml:Issuer': options.issuer,
            'saml:Subject': {
                'saml:NameID': withText({ $Format: options.nameIdentifierFormat ?? unspecifiedName }, options.nameIdentifier),
                'saml:SubjectConfirmation': {
                    $Method: 'urn:oasis:names:tc:SAML:2.0:cm:bearer',
                    'saml:SubjectConfirmationData': {
                        $NotOnOrAfter: notAfter,
                        $Recipient: options.recipient,
                        ...(options.inResponseTo === undefined ? {} : { $InResponseTo: options.inResponseTo }),
                    },
                },
            },
            'saml:Conditions': {
                $NotBefore: notBefore,
                $NotOnOrAfter: notAfter,
                'saml:AudienceRestriction': { 'saml:Audience': options.audiences },
            },
            'saml:AuthnStatement': {
                $AuthnInstant: instant(now),
                ...(options.sessionIndex === undefined ? {} : { $SessionIndex: options.sessionIndex }),
                'saml:AuthnContext': { 'saml:AuthnContextClassRef': options.authnContextClassRef ?? unspecifiedContext },
            },
            ...attributeStatement(options),
        },
    });
}

function attributeStatement(options: SamlOptions): Record<string, ValueTree> {
    const attributes = Object.entries(options.attributes).map(([name, value]) => ({
        $Name: name,
        ...(options.includeAttributeNameFormat === false ? {} : { $NameFormat: basicNameFormat }),
        'saml:AttributeValue': (Array.isArray(value) ? (value as ValueTree[]) : [value]).map((item) =>
            options.typedAttributes === false ? item : withText({ '$xsi:type': `xs:${typeOf(item)}` }, item),
        ),
    }));
    return attributes.length === 0 ? {} : { 'saml:AttributeStatement': { 'saml:Attribute': attributes } };
}

const typeOf = (value: ValueTree): string => (typeof value === 'boolean' ? 'boolean' : typeof value === 'number' ? 'decimal' : 'string');

const withText = (attributes: Readonly<Record<string, ValueTree>>, text: ValueTree): ValueTree => ({ ...attributes, '': text });

/** SAML Core §1.3.3: UTC; whole seconds are what every server reads. */
const instant = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** When an assertion ends, in milliseconds; `undefined`: it does not say, or is none. */
export function samlExpiry(encoded: string): number | undefined {
    const date = /\bNotOnOrAfter="([^"]+)"/.exec(Buffer.from(encoded, 'base64').toString('utf8'))?.[1];
    const moment = date === undefined ? Number.NaN : Date.parse(date);
    return Number.isNaN(moment) ? undefined : moment;
}
