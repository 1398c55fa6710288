import { describe, expect, it } from 'vitest';
import { ExpressionError } from '../../src/providers/expression.ts';
import { TemplateError, UrlTemplateError } from '../../src/providers/url-template.ts';
import { compile } from './compile-template.ts';
import type { Fields } from './compile-template.ts';

function build(source: string, values: Record<string, unknown>, fields: Fields = {}, plainHttpHost?: string): string {
    return compile(source, fields, plainHttpHost).build({ connectionConfig: values }).href;
}

function failure(act: () => unknown): TemplateError {
    try {
        act();
    } catch (error) {
        expect(error).toBeInstanceOf(TemplateError);
        return error as TemplateError;
    }
    throw new Error('nothing was thrown');
}

describe('kinds of placeholder', () => {
    it.each([
        ['https://${connectionConfig.a}.acme.example/x', 'host-label'],
        ['https://api.${connectionConfig.a}.acme.example/x', 'host-label'],
        ['https://api-${connectionConfig.a}.acme.example', 'host-label'],
        ['https://${connectionConfig.a}', 'host'],
        ['https://${connectionConfig.a}:8443/x', 'host'],
        ['https://acme.${connectionConfig.tld}/x', 'suffix-choice'],
        ['https://${connectionConfig.tld}/x', 'suffix-choice'],
        ['${connectionConfig.a}', 'origin'],
        ['${connectionConfig.a}/oauth', 'origin'],
        ['https://acme.example/accounts/${connectionConfig.a}/x', 'path-segment'],
        ['https://acme.example/x?team=${connectionConfig.a}', 'query-value'],
    ])('%s: %s', (source, kind) => {
        expect(compile(source, { tld: { enum: ['com', 'com.au'] } }).fields.map((field) => field.kind)).toEqual([kind]);
    });

    it('reads the short forms of credentials', () => {
        const template = compile('https://api.acme.example/bot${apiKey}/x');
        expect(template.fields).toMatchObject([{ root: 'credentials', name: 'apiKey', kind: 'path-segment' }]);
        expect(template.build({ connectionConfig: {}, credentials: { apiKey: '1:a/b' } }).href).toBe('https://api.acme.example/bot1%3Aa%2Fb/x');
    });
});

describe('who chooses the host (N2)', () => {
    it.each([
        ['https://acme.example/${connectionConfig.a}', false],
        ['https://${connectionConfig.a}.acme.example', false],
        ['https://acme.${connectionConfig.tld}', false],
        ['https://${connectionConfig.tld}', false],
        ['https://${connectionConfig.a}', true],
        ['${connectionConfig.a}/token', true],
        ['https://${connectionConfig.a}.com', true],
        ['https://acme.example || https://${connectionConfig.a}', true],
    ])('%s: %s', (source, expected) => {
        expect(compile(source, { tld: { enum: ['com', 'eu'] } }).hostIsChosenByConnection).toBe(expected);
    });
});

describe('templates that cannot be compiled safely', () => {
    it.each([
        ['a last label without choices', 'https://accounts.acme.${connectionConfig.a}/token', 'N1'],
        ['a last label whose choices are no host', 'https://acme.${connectionConfig.bad}', 'N1'],
        ['a port from a value that need not be a number', 'https://acme.example:${connectionConfig.a}/x', 'N1'],
        ['a label glued to the last label', 'https://${connectionConfig.a}com/x', 'N1'],
        ['an origin followed by more host', '${connectionConfig.a}.acme.example/x', 'N1'],
        ['two origins', '${connectionConfig.a}${connectionConfig.b}', 'N1'],
        ['a user part in front of a slot', 'https://user@${connectionConfig.a}.acme.example', 'N1'],
        ['a user part', 'https://user:pass@acme.example/x', 'E05'],
        ['a fragment', 'https://acme.example/x#y', 'E05'],
        ['another scheme', 'ftp://acme.example/x', 'E05'],
        ['no scheme', 'acme.example/x', 'E05'],
        ['plain http', 'http://acme.example/x', 'E05'],
        ['plain http to a host from a value', 'http://${connectionConfig.a}/x', 'E05'],
        ['plain http in the second half', 'https://${connectionConfig.a}.acme.example || http://acme.example', 'E05'],
        ['dot segments', 'https://acme.example/a/../b', 'E05'],
        ['characters a parser would rewrite', 'https://acme.example/a\\b', 'E05'],
        ['an IPv4 short form', 'https://127.1/x', 'E05'],
        ['no host', 'https:///x', 'E05'],
        ['an empty half', ' || https://${connectionConfig.a}.acme.example', 'E05'],
    ])('%s', (_what, source, rule) => {
        const act = (): unknown => compile(source, { bad: { enum: ['com', 'evil.com/#'] } });
        expect(act).toThrow(UrlTemplateError);
        expect(act).toThrow(expect.objectContaining({ rule, code: 'invalid_url_template' }));
    });

    it.each([
        'https://${base64(x)}.acme.example',
        'https://acme.example/${accessToken}',
        'https://${subdomain}.acme.example',
        'https://${connectionConfig.a',
    ])('refuses the expression in %s', (source) => {
        expect(() => compile(source)).toThrow(ExpressionError);
    });
});

describe('building', () => {
    it('lower-cases hosts and keeps everything else', () => {
        expect(build('https://${connectionConfig.sub}.acme.example/Token', { sub: 'AcMe' })).toBe('https://acme.acme.example/Token');
        expect(build('https://${connectionConfig.host}/x', { host: 'Login.Acme.Example' })).toBe('https://login.acme.example/x');
    });

    it('keeps the query of the template (R7)', () => {
        expect(build('https://acme.example/token?grant_type=x&key=${connectionConfig.key}', { key: 'a&b=c d' })).toBe(
            'https://acme.example/token?grant_type=x&key=a%26b%3Dc%20d',
        );
        expect(build('https://${connectionConfig.sub}.acme.example/token?refresh', { sub: 'a' })).toBe('https://a.acme.example/token?refresh');
    });

    it('inserts numbers, and finds names that hold dots', () => {
        expect(build('https://acme.example/${connectionConfig.id}', { id: 42 })).toBe('https://acme.example/42');
        expect(build('https://acme.example/${connectionConfig.team.id}', { 'team.id': 'T1' })).toBe('https://acme.example/T1');
        expect(build('https://acme.example/${connectionConfig.team.id}', { team: { id: 'T2' } })).toBe('https://acme.example/T2');
    });

    it('ignores what values inherit', () => {
        expect(failure(() => build('https://acme.example/${connectionConfig.constructor.name}', {})).code).toBe('missing_value');
    });

    it('allows dots in a label only where the field declares them', () => {
        const source = 'https://${connectionConfig.sub}.acme.example/';
        expect(build(source, { sub: 'a.b' }, { sub: { pattern: '^[a-z.]+$' } })).toBe('https://a.b.acme.example/');
        expect(build(source, { sub: 'a.b' }, { sub: { format: 'hostname' } })).toBe('https://a.b.acme.example/');
        for (const field of [{}, { pattern: '^[a-z-]+$' }, { pattern: '[a-z]+' }, { title: 'Any' }]) {
            expect(failure(() => build(source, { sub: 'a.b' }, { sub: field })).code).toBe('invalid_value');
        }
    });

    it('allows a port only where the field declares one', () => {
        const declared = { host: { pattern: '^[a-z.]+(:[0-9]+)?$' }, origin: { pattern: '^https://[a-z.]+(:\\d+)?$' } };
        expect(build('https://${connectionConfig.host}/x', { host: 'a.example:8443' }, declared)).toBe('https://a.example:8443/x');
        expect(build('${connectionConfig.origin}/x', { origin: 'https://a.example:8443' }, declared)).toBe('https://a.example:8443/x');
        const silent = { host: { pattern: '^.*$' }, origin: { pattern: '^(?:https?)://.*$', format: 'uri' as const } };
        for (const fields of [silent, {}]) {
            expect(failure(() => build('https://${connectionConfig.host}/x', { host: 'a.example:8443' }, fields)).field).toBe('host');
            expect(failure(() => build('${connectionConfig.origin}/x', { origin: 'https://a.example:8443' }, fields)).field).toBe('origin');
        }
    });

    it('allows a path behind a whole host only where the field declares one', () => {
        const source = 'https://${connectionConfig.host}/token';
        const declared = { host: { pattern: '^[a-z.]+(:[0-9]+)?(/[A-Za-z0-9._%-]+)*$' } };
        expect(build(source, { host: 'a.example/tenant' }, declared)).toBe('https://a.example/tenant/token');
        expect(build(source, { host: 'A.example:8443/a/b' }, { host: { pattern: '^[A-Za-z.]+(:[0-9]+)?(/[a-z]+)*$' } })).toBe(
            'https://a.example:8443/a/b/token',
        );
        for (const host of [
            'a.example/../b',
            'a.example/%2e%2E/b',
            'a.example//evil.com/\\',
            'a.example/x?y',
            'a.example/x#y',
            'a@evil.com/x',
            'a.example:/x',
        ]) {
            expect(failure(() => build(source, { host }, { host: { pattern: '^.*(/.*)?$' } })).code).toBe('invalid_value');
        }
        for (const field of [{}, { format: 'hostname' as const }, { pattern: '^(?:https?)://.*$' }, { pattern: '^.*$' }]) {
            expect(failure(() => build(source, { host: 'a.example/tenant' }, { host: field })).code).toBe('invalid_value');
        }
    });

    it('takes a whole host, with its path, from a list of choices', () => {
        const fields = { host: { enum: ['a.example/live', 'b.example:8443'] } };
        expect(build('https://${connectionConfig.host}/x', { host: 'a.example/live' }, fields)).toBe('https://a.example/live/x');
        expect(build('https://${connectionConfig.host}/x', { host: 'b.example:8443' }, fields)).toBe('https://b.example:8443/x');
        expect(failure(() => build('https://${connectionConfig.host}/x', { host: 'a.example' }, fields)).code).toBe('invalid_value');
        expect(() => compile('https://${connectionConfig.host}/x', { host: { enum: ['a.example', 'a@b.example'] } })).toThrow(UrlTemplateError);
    });

    it('takes a port from a value, which can be nothing but a port', () => {
        const source = 'https://${connectionConfig.sub}.acme.example:${connectionConfig.port}/x';
        const fields = { port: { pattern: '^[0-9]+$' } };
        expect(build(source, { sub: 'a', port: '13113' }, fields)).toBe('https://a.acme.example:13113/x');
        expect(build('https://acme.example:${connectionConfig.port}', { port: 8443 }, fields)).toBe('https://acme.example:8443/');
        for (const port of ['0', '65536', '123456', '44 3', '443@evil.com', '443/', '٤٤٣', 'x']) {
            expect(failure(() => build(source, { sub: 'a', port }, fields))).toMatchObject({ code: 'invalid_value', field: 'port' });
        }
    });

    it('accepts as a suffix nothing but the choices', () => {
        const fields = { tld: { enum: ['com', 'com.au'] } };
        expect(build('https://accounts.acme.${connectionConfig.tld}/t', { tld: 'com.au' }, fields)).toBe('https://accounts.acme.com.au/t');
        for (const tld of ['evil', 'COM', 'com.evil', 'com/', ' com']) {
            expect(failure(() => build('https://accounts.acme.${connectionConfig.tld}/t', { tld }, fields)).code).toBe('invalid_value');
        }
    });

    it('joins an origin that has a path with the path of the template', () => {
        expect(build('${connectionConfig.o}/token', { o: 'https://a.example/instance/' })).toBe('https://a.example/instance/token');
        expect(build('${connectionConfig.o}', { o: 'https://a.example/rest/' })).toBe('https://a.example/rest/');
        expect(build('${connectionConfig.o}', { o: 'https://A.example' })).toBe('https://a.example/');
    });

    it('accepts plain http for listed hosts only', () => {
        expect(build('http://127.0.0.1:4000/token', {}, {}, '127.0.0.1')).toBe('http://127.0.0.1:4000/token');
        expect(build('http://[::1]:4000/token', {}, {}, '::1')).toBe('http://[::1]:4000/token');
        expect(build('${connectionConfig.o}/x', { o: 'http://own.test' }, {}, 'own.test')).toBe('http://own.test/x');
        expect(failure(() => build('${connectionConfig.o}/x', { o: 'http://other.test' }, {}, 'own.test')).code).toBe('invalid_value');
        expect(() => compile('http://${connectionConfig.a}.own.test/x', {}, 'own.test')).not.toThrow();
        expect(failure(() => build('http://${connectionConfig.a}.own.test/x', { a: 'b' }, {}, 'own.test')).code).toBe('invalid_value');
    });
});

describe('fallback', () => {
    const source = 'https://${connectionConfig.host}/${connectionConfig.tenant}/token || https://login.acme.example/${connectionConfig.realm}';

    it('uses the left half when all of it resolves', () => {
        expect(build(source, { host: 'a.example', tenant: 't', realm: 'r' })).toBe('https://a.example/t/token');
    });

    it.each([
        [{ realm: 'r' }],
        [{ host: '', tenant: 't', realm: 'r' }],
        [{ host: 'a.example', realm: 'r' }],
        [{ host: 'a.example', tenant: true, realm: 'r' }],
    ])('uses the right half for %o: a partially resolved left never wins', (values) => {
        expect(build(source, values)).toBe('https://login.acme.example/r');
    });

    it('does not fall back from a value that is invalid', () => {
        const values = { host: 'evil.example/#', tenant: 't', realm: 'r' };
        expect(failure(() => build(source, values))).toMatchObject({ code: 'invalid_value', field: 'host' });
    });

    it('names what the last half needs when neither resolves', () => {
        expect(failure(() => build(source, {}))).toMatchObject({ code: 'missing_value', field: 'realm' });
    });
});

const attacks = ['evil.com/#', 'evil.com?', 'evil.com\\', 'a@evil.com', '169.254.169.254#'];

describe('host slot attacks (auth-modes contract 20.1)', () => {
    it.each(attacks)('%s is refused with the name of the field and without the value', (value) => {
        const slots = [
            'https://${connectionConfig.subdomain}.acme.example',
            'https://${connectionConfig.subdomain}',
            '${connectionConfig.subdomain}',
        ];
        for (const source of slots.map((slot) => `${slot}/token`)) {
            const template = compile(source, { subdomain: { pattern: '^.*$' } });
            expect(template.fields[0]?.accepts(value)).toBe(false);
            const error = failure(() => template.build({ connectionConfig: { subdomain: value } }));
            expect(error).toMatchObject({ code: 'invalid_value', field: 'subdomain' });
            expect(error.message).not.toContain(value);
        }
    });

    it.each([
        'https://evil.com@acme.example',
        'https://acme.example\\@evil.com',
        'https://acme.example#@evil.com',
        'https://acme.example?x',
        'https:/evil.com',
        '//evil.com',
        'javascript:alert(1)',
        'https://a.example/../b',
        'https://a.example/%2E%2e/b',
        'https://127.1',
        'https://0x7f.0.0.1',
        'https://xn--.example',
        'https://[::1]',
        'https://a.example:',
        'https://a.example\n',
        ' https://a.example',
    ])('as an origin, %s is refused', (value) => {
        expect(failure(() => build('${connectionConfig.o}/x', { o: value })).code).toBe('invalid_value');
    });
});
