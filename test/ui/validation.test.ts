/** What may be sent, and what a pasted value becomes (frontend contract §3.3, §7.24 to 27). */
import { describe, expect, test } from 'vitest';
import type { Definition } from '../../src/ui/connect/api-types.ts';
import type { Field } from '../../src/ui/connect/fields.ts';
import { faultOf, faultsOf, normalised } from '../../src/ui/connect/validation.ts';
import { catalogueProvider, fieldOf, formOf, madeUpProvider } from './forms.ts';

const field = (definition: Definition, name = 'value'): Field =>
    fieldOf(formOf(madeUpProvider({ auth_mode: 'NONE', connection_config: { [name]: definition } })), `params.${name}`);

describe('faults', () => {
    test.each<[string, Definition, string, string | undefined]>([
        ['required', {}, '', 'required'],
        ['one character is enough', {}, 'x', undefined],
        ['optional', { optional: true }, '', undefined],
        ['optional, with a pattern', { optional: true, pattern: '^a$' }, '', undefined],
        ['optional, filled in wrongly', { optional: true, pattern: '^a$' }, 'b', 'pattern'],
        ['an empty default', { default_value: '' }, '', undefined],
        ['a default', { default_value: 'x' }, '', undefined],
        ['a default with a format', { default_value: '', format: 'uuid' }, '', 'required'],
        ['a choice', { enum: ['a', 'b'] }, 'a', undefined],
        ['no choice of the list', { enum: ['a', 'b'] }, 'c', 'choice'],
        ['a required choice', { enum: ['a', 'b'] }, '', 'required'],
        ['an optional choice', { enum: ['a'], optional: true }, '', undefined],
        ['host name', { format: 'hostname' }, 'app.example.com', undefined],
        ['host name with a path', { format: 'hostname' }, 'app.example.com/x', 'hostname'],
        ['host name with an underscore', { format: 'hostname' }, 'a_b', 'hostname'],
        ['UUID', { format: 'uuid' }, '123e4567-e89b-12d3-a456-426614174000', undefined],
        ['UUID of no RFC version', { format: 'uuid' }, '00000000-0000-f000-0000-00000000000F', undefined],
        ['UUID without dashes', { format: 'uuid' }, '123e4567e89b12d3a456426614174000', 'uuid'],
        ['https', { format: 'uri' }, 'https://a.example/x', undefined],
        ['http', { format: 'uri' }, 'http://a.example', undefined],
        ['a script', { format: 'uri' }, 'javascript:alert(1)', 'uri'],
        ['no URL', { format: 'uri' }, 'https://', 'uri'],
        ['e-mail', { format: 'email' }, 'a@b.example', undefined],
        ['no e-mail', { format: 'email' }, 'a@', 'email'],
        ['an unanchored pattern', { pattern: 'b+' }, 'abc', undefined],
        ['an anchored pattern', { pattern: '^b+$' }, 'abc', 'pattern'],
        ['format, then pattern', { format: 'hostname', pattern: '\\.acme\\.com$' }, 'x.other.com', 'pattern'],
        ['a pattern that does not compile here', { pattern: '(' }, 'x', undefined],
        ['hidden', { hidden: true, pattern: '^a$' }, 'b', undefined],
    ])('%s', (_, definition, value, expected) => {
        expect(faultOf(field(definition), value)).toBe(expected);
    });

    test('a preset is judged although nobody sees it, unless the server withholds it', () => {
        const provider = madeUpProvider({ auth_mode: 'NONE', connection_config: { region: { pattern: '^[a-z]+$' } } });
        expect(faultsOf(formOf(provider, { presets: { region: 'EU' } }), { 'params.region': 'EU' })).toEqual({ 'params.region': 'pattern' });
        expect(faultsOf(formOf(provider, { presets: { region: '********' } }), { 'params.region': '********' })).toEqual({});
    });

    test('a base field without a definition needs a character', () => {
        const [apiKey] = formOf(madeUpProvider({}));
        expect(faultOf(apiKey!, '')).toBe('required');
    });
});

describe('what is pasted', () => {
    test.each<[string, Definition, string, string]>([
        ['spaces', {}, '  acme ', 'acme'],
        ['suffix', { suffix: '.zendesk.com' }, 'acme.zendesk.com', 'acme'],
        ['whole address', { prefix: 'https://', suffix: '.zendesk.com' }, 'https://acme.zendesk.com/agent/dashboard?x=1', 'acme'],
        ['other scheme', { prefix: 'https://', suffix: '.zendesk.com' }, 'http://Acme.Zendesk.com', 'Acme'],
        ['scheme, where only a suffix is shown', { suffix: '.atlassian.net' }, 'https://acme.atlassian.net/', 'acme'],
        ['another domain that begins alike', { suffix: '.acme.com' }, 'x.acme.com.au', 'x.acme.com.au'],
        ['prefix alone', { prefix: 'https://' }, 'https://app.example.com/', 'app.example.com'],
        ['a prefix that is no scheme', { prefix: 'acct_' }, 'acct_123', '123'],
        ['what is only the prefix', { prefix: 'https://' }, 'https://', 'https://'],
        ['host name out of an address', { format: 'hostname' }, 'https://app.example.com/login', 'app.example.com'],
        ['address without a scheme', { format: 'uri' }, 'app.example.com', 'https://app.example.com'],
        ['pattern that wants a host', { pattern: '^[a-z.]+$' }, 'https://app.example.com/', 'app.example.com'],
        ['capitals', { pattern: '^[a-z]+$' }, 'Acme', 'acme'],
        ['nothing helps', { pattern: '^[0-9]+$' }, 'acme', 'acme'],
        ['it fits as it is', {}, 'https://acme.example/', 'https://acme.example/'],
    ])('%s', (_, definition, raw, expected) => {
        expect(normalised(field(definition), raw)).toBe(expected);
    });

    test('a password keeps its spaces', () => {
        expect(normalised(field({}, 'password'), ' p w ')).toBe(' p w ');
    });

    const pem = '-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----';
    const escaped = pem.replaceAll('\n', String.raw`\n`);

    test('a key keeps its lines', () => {
        const key = fieldOf(formOf(catalogueProvider('apple-app-store')), 'credentials.privateKey');
        expect(normalised(key, `${pem}\n`)).toBe(pem);
    });

    test('a key out of a JSON file gets lines, and one that has to be written so loses them', () => {
        const snowflake = fieldOf(formOf(catalogueProvider('snowflake-jwt')), 'credentials.privateKey');
        expect(normalised(snowflake, `"${escaped}",`)).toBe(pem);
        const google = fieldOf(formOf(catalogueProvider('google-service-account')), 'credentials.privateKey');
        expect(normalised(google, pem)).toBe(String.raw`${escaped}\n`);
    });
});
