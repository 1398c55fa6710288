/**
 * SAML 2.0 bearer assertions (RFC 7522 §3), by what they say. Their XML signature is looked for and not verified: that needs
 * canonicalisation, and a twin does not know the certificate anyhow.
 */
import { XMLParser } from 'fast-xml-parser';
import { textOf, type Reading } from './declared-params.ts';
import type { Entry } from './entry.ts';
import type { Refusal } from './refusal.ts';
import { matchTemplate } from './text-template.ts';
import type { Call } from './twin.ts';

type Declared = NonNullable<Entry['assertion']>;
type Element = Record<string, unknown>;

/** @returns the reading with the values that the assertion shows. @throws Refusal */
export function assertSamlAssertion(call: Call, reading: Reading, encoded: string, declared: Declared, refuse: (why: string) => Refusal): Reading {
    const assertion = parse(encoded, refuse);
    const subject = child(assertion, 'Subject');
    const confirmation = child(subject, 'SubjectConfirmation');
    const data = child(confirmation, 'SubjectConfirmationData');
    const conditions = child(assertion, 'Conditions');
    if (confirmation?.['$Method'] !== 'urn:oasis:names:tc:SAML:2.0:cm:bearer') throw refuse('The subject is not confirmed as a bearer.');
    const expected: [string, string | undefined, unknown][] = [
        ['Issuer', declared.issuer, contentOf(assertion['Issuer'])],
        [
            'Audience',
            declared.audiences,
            textOf(child(child(conditions, 'AudienceRestriction'), 'Audience') ?? child(conditions, 'AudienceRestriction')?.['Audience']),
        ],
        ['NameID', declared.nameIdentifier, contentOf(subject?.['NameID'])],
        ['Recipient', declared.recipient, data?.['$Recipient']],
    ];
    let { bindings } = reading;
    for (const [name, template, actual] of expected) {
        if (template === undefined) continue;
        const match = matchTemplate(template, textOf(actual ?? ''), bindings);
        if (match === undefined || actual === undefined || actual === '') throw refuse(`"${name}" of the assertion is not the one expected.`);
        bindings = match.bindings;
    }
    for (const end of [conditions?.['$NotOnOrAfter'], data?.['$NotOnOrAfter']]) {
        if (!(Date.parse(String(end)) > call.world.now())) throw refuse('The assertion has expired, or does not say when it does.');
    }
    if (declared.key !== undefined && child(assertion, 'Signature')?.['SignatureValue'] === undefined) throw refuse('The assertion is not signed.');
    return { ...reading, bindings };
}

function parse(encoded: string, refuse: (why: string) => Refusal): Element {
    try {
        const text = Buffer.from(encoded, 'base64').toString('utf8');
        const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '$', removeNSPrefix: true, parseTagValue: false });
        const { Assertion } = parser.parse(text) as { Assertion?: Element };
        if (typeof Assertion === 'object') return Assertion;
    } catch {
        // said below
    }
    throw refuse('The assertion is not base64 of a SAML assertion.');
}

function child(element: Element | undefined, name: string): Element | undefined {
    const value = element?.[name];
    return typeof value === 'object' && value !== null ? (value as Element) : undefined;
}

/** An element with attributes is an object. */
const contentOf = (value: unknown): unknown => (typeof value === 'object' && value !== null ? (value as Element)['#text'] : value);
