/** The assertion is checked as its receiver would: its signature by another path than the one it was made on, then its statements. */
import { createHash, createVerify, generateKeyPairSync, verify } from 'node:crypto';
import { DOMParser } from '@xmldom/xmldom';
import { describe, expect, test } from 'vitest';
import { ExclusiveCanonicalization, SignedXml } from 'xml-crypto';
import { samlExpiry, signSamlAssertion, type SamlOptions } from '../../../src/auth-modes/two-step/saml-assertion.ts';
import { readXml } from '../../../src/auth-modes/two-step/xml.ts';
import { selfSigned } from '../../egress/certificate.ts';
import { virtualSources } from '../../virtual-sources.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const sources = virtualSources(Date.UTC(2026, 0, 1, 12));

const options: SamlOptions = {
    issuer: 'www.successfactors.com',
    nameIdentifier: 'ann <admin> & "co"',
    recipient: 'https://api4.example.com/oauth/token?a=1&b=2',
    audiences: ['www.successfactors.com'],
    attributes: { api_key: 'k+y/==', use_username: true, external_user: false },
    sessionIndex: 'a-session',
    longest: 315_360_000,
};
const assertion = async (changes: Partial<SamlOptions> = {}, cert?: string): Promise<string> =>
    Buffer.from(await signSamlAssertion({ ...options, ...changes }, privateKey, cert, sources), 'base64').toString('utf8');

/** With xml-crypto's verifier, which finds the signed element by its own rules. */
function isSigned(xml: string): boolean {
    const document = new DOMParser().parseFromString(xml, 'text/xml');
    const signature = document.getElementsByTagNameNS('http://www.w3.org/2000/09/xmldsig#', 'Signature')[0]!;
    const signed = new SignedXml({ publicCert: publicPem, getCertFromKeyInfo: () => null });
    signed.loadSignature(signature as unknown as Node);
    try {
        return signed.checkSignature(xml);
    } catch {
        return false;
    }
}

describe('signSamlAssertion', () => {
    test('the signature stands behind the issuer and covers the whole assertion', async () => {
        const xml = await assertion();
        expect(xml).toMatch(/<\/saml:Issuer><ds:Signature [^>]*>.*<\/ds:Signature><saml:Subject>/s);
        expect(isSigned(xml)).toBe(true);
        expect(isSigned(xml.replace('ann &lt;admin', 'bob &lt;admin'))).toBe(false);
        expect(isSigned(xml.replace('2026-01-01T12:09:30Z', '2036-01-01T12:09:30Z'))).toBe(false);
    });

    test('digest and signature hold by node:crypto alone', async () => {
        const xml = await assertion();
        const [, digest = ''] = /<ds:DigestValue>([^<]+)</.exec(xml) ?? [];
        const [, value = ''] = /<ds:SignatureValue>([^<]+)</.exec(xml) ?? [];
        const [signature = ''] = /<ds:Signature .*<\/ds:Signature>/s.exec(xml) ?? [];
        const canonical = (text: string): string =>
            String(
                new ExclusiveCanonicalization().process(new DOMParser().parseFromString(text, 'text/xml').documentElement as unknown as Element, {}),
            );
        expect(
            createHash('sha256')
                .update(canonical(xml.replace(signature, '')))
                .digest('base64'),
        ).toBe(digest);
        const [info = ''] = /<ds:SignedInfo>.*<\/ds:SignedInfo>/s.exec(signature) ?? [];
        const signedInfo = canonical(info.replace('<ds:SignedInfo>', '<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'));
        expect(createVerify('RSA-SHA256').update(signedInfo).verify(publicKey, value, 'base64')).toBe(true);
        expect(verify('sha256', Buffer.from(`${signedInfo} `), publicKey, Buffer.from(value, 'base64'))).toBe(false);
        expect(signature).toContain('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256');
        expect(signature).toContain('http://www.w3.org/2001/10/xml-exc-c14n#');
        expect(signature).not.toMatch(/sha1/);
    });

    test('it says who, to whom, how it was asked, and for ten minutes although the entry would take ten years (N8)', async () => {
        const xml = await assertion();
        const { Assertion: said } = readXml(xml) as { Assertion: Record<string, unknown> };
        expect(said).toMatchObject({
            $Version: '2.0',
            $ID: expect.stringMatching(/^_[0-9a-f-]{36}$/) as string,
            $IssueInstant: '2026-01-01T12:00:00Z',
            Issuer: 'www.successfactors.com',
            Subject: {
                NameID: 'ann <admin> & "co"',
                SubjectConfirmation: { $Method: 'urn:oasis:names:tc:SAML:2.0:cm:bearer' },
            },
            Conditions: {
                $NotBefore: '2026-01-01T11:59:30Z',
                $NotOnOrAfter: '2026-01-01T12:09:30Z',
                AudienceRestriction: { Audience: 'www.successfactors.com' },
            },
            AuthnStatement: { $SessionIndex: 'a-session' },
            AttributeStatement: {
                Attribute: [
                    { $Name: 'api_key', AttributeValue: 'k+y/==' },
                    { $Name: 'use_username', AttributeValue: 'true' },
                    { $Name: 'external_user', AttributeValue: 'false' },
                ],
            },
        });
        expect(xml).toContain('Recipient="https://api4.example.com/oauth/token?a=1&amp;b=2"');
        expect(xml).toContain('NotOnOrAfter="2026-01-01T12:09:30Z" Recipient');
        expect(xml).toContain('<saml:AttributeValue xsi:type="xs:boolean">true<');
    });

    test('no two have the same id, and a shorter life is kept', async () => {
        const [one, other] = [await assertion(), await assertion({ longest: 120 })];
        const idOf = (xml: string): string | undefined => / ID="([^"]+)"/.exec(xml)?.[1];
        expect(idOf(one)).not.toBe(idOf(other));
        expect(other).toContain('NotOnOrAfter="2026-01-01T12:01:30Z"');
    });

    test('what an entry may say beyond that', async () => {
        const xml = await assertion({
            uid: '_mine',
            nameIdentifierFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
            authnContextClassRef: 'urn:oasis:names:tc:SAML:2.0:ac:classes:X509',
            inResponseTo: '_request',
            audiences: ['one', 'two'],
            attributes: { groups: ['a', 'b'] },
            typedAttributes: false,
            includeAttributeNameFormat: false,
        });
        expect(isSigned(xml)).toBe(true);
        for (const part of [
            'ID="_mine"',
            'URI="#_mine"',
            'InResponseTo="_request"',
            '<saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">',
            '<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:X509<',
            '<saml:Audience>one</saml:Audience><saml:Audience>two</saml:Audience>',
            '<saml:Attribute Name="groups"><saml:AttributeValue>a</saml:AttributeValue><saml:AttributeValue>b</saml:AttributeValue>',
        ]) {
            expect(xml).toContain(part);
        }
    });
});

test('a certificate is named in the signature, where the entry has one', async () => {
    const { cert } = selfSigned(['valetkey.example']);
    const xml = await assertion({}, cert);
    expect(isSigned(xml)).toBe(true);
    const [, named = ''] = /<ds:X509Certificate>([^<]+)</.exec(xml) ?? [];
    expect(named.replaceAll(/\s/g, '')).toBe(cert.replaceAll(/-----[^-]+-----|\s/g, ''));
});

test('samlExpiry reads when it ends', async () => {
    expect(samlExpiry(await signSamlAssertion(options, privateKey, undefined, sources))).toBe(Date.UTC(2026, 0, 1, 12, 9, 30));
    expect(samlExpiry('not base64 ☃')).toBeUndefined();
    expect(samlExpiry(Buffer.from('<a NotOnOrAfter="soon"/>').toString('base64'))).toBeUndefined();
});
