/** What goes out to a provider's API, from the entry and the caller: address, headers and body. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { apiRequest, type ApiCall, type ApiRequest, type Authentication } from '../../src/providers/api-request.ts';
import type { ProviderEntry, ProxyEntry } from '../../src/providers/provider.ts';
import { makeProvider } from './make-provider.ts';

const connectionConfig = { version: '2', sub: 'acme', list: ['x'] };
const values = {
    connectionConfig,
    credentials: { apiKey: 'k&y', username: 'u', password: 'p' },
    accessToken: 'at',
    random: 'r',
    now: Date.UTC(2015, 7, 30, 12, 36),
};

function build(
    proxy: Partial<ProxyEntry> | undefined,
    call: Partial<ApiCall> = {},
    authentication: Partial<Authentication> = {},
    entry: Partial<ProviderEntry> = {},
) {
    const provider = makeProvider(
        {
            auth_mode: 'API_KEY',
            credentials: { apiKey: { type: 'string' } },
            ...(proxy && { proxy: { base_url: 'https://api.acme.example/v1', ...proxy } }),
            ...entry,
        },
        { plainHttpHost: '127.0.0.1' },
    );
    return apiRequest(provider, { method: 'GET', endpoint: '/me', ...call }, { values, ...authentication });
}

const headersOf = (...args: Parameters<typeof build>): Record<string, string> => build(...args).headers;
const code = (wanted: string): unknown => expect.objectContaining({ code: wanted });

describe('headers', () => {
    const headers = {
        Authorization: 'Bearer ${apiKey}',
        'x-version': '${connectionConfig.version}',
        'x-gone': '${connectionConfig.absent}',
        accept: 'a',
    };

    test('come from the entry; what does not resolve is left out', () => {
        expect(headersOf({ headers })).toEqual({ authorization: 'Bearer k&y', 'x-version': '2', accept: 'a' });
    });

    test('of the mode give way to the entry, and those to the caller', () => {
        const modeHeaders = () => ({ authorization: 'mode', 'x-mode': 'mode', accept: 'mode' });
        expect(headersOf({ headers }, { headers: { Accept: 'caller', 'X-Own': '${apiKey}' } }, { modeHeaders })).toEqual({
            authorization: 'Bearer k&y',
            'x-version': '2',
            'x-mode': 'mode',
            accept: 'caller',
            'x-own': '${apiKey}',
        });
    });

    test('of the mode do not come back when the entry replaces them with nothing', () => {
        const modeHeaders = () => ({ authorization: 'Basic of-a-secret' });
        expect(headersOf({ headers: { authorization: '${connectionConfig.absent}' } }, {}, { modeHeaders })).toEqual({});
        expect(headersOf({ headers: { authorization: '${ed25519Sign(${method}, ${password})}' } }, {}, { modeHeaders })).toEqual({});
    });

    test('user-agent: the entry has the last word', () => {
        const call = { headers: { 'User-Agent': 'caller' } };
        expect(headersOf({ headers: { 'user-agent': '${connectionConfig.absent} || Valetkey' } }, call)).toEqual({ 'user-agent': 'Valetkey' });
        expect(headersOf({ headers: { 'user-agent': '${connectionConfig.absent}' } }, call)).toEqual({ 'user-agent': 'caller' });
        expect(headersOf({}, call)).toEqual({ 'user-agent': 'caller' });
    });

    test('signatures see the finished address, body and headers', () => {
        const signing = {
            'content-digest': 'sha-256=:${sha256Base64(${bodyCanonicalParams})}:',
            'x-target': '${method} https://${host}${path} ${endpoint} ${params}',
        };
        const request = build({ headers: signing, query: { key: '${apiKey}' } }, { method: 'POST', endpoint: 'a?b=1', body: '{}' });
        expect(request.headers).toEqual({
            'content-digest': `sha-256=:${createHash('sha256').update('{}').digest('base64')}:`,
            'x-target': 'POST https://api.acme.example/v1/a /a?b=1 b=1&key=k%26y',
        });
    });

    test('of AWS are signed as they are sent, whoever set them', () => {
        const aws = {
            authorization: '${awsSigV4(AKIDEXAMPLE, wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY, us-east-1, iam)}',
            'x-amz-date': '${now:YYYYMMDDTHHmmss[Z]}',
        };
        const call = {
            endpoint: '/?Action=ListUsers&Version=2010-05-08',
            headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
        };
        const { headers } = build({ base_url: 'https://iam.amazonaws.com', headers: aws }, call);
        // The example of the Signature Version 4 documentation.
        expect(headers['authorization']).toContain('Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7');
        expect(headers['x-amz-date']).toBe('20150830T123600Z');
        const targeted = build({ base_url: 'https://iam.amazonaws.com', headers: aws }, { headers: { 'x-amz-target': 'T' } });
        expect(targeted.headers['authorization']).toContain('SignedHeaders=host;x-amz-date;x-amz-target,');
    });

    test('a digest of the body is among what AWS has signed', () => {
        const headers = {
            authorization: '${awsSigV4(a, b , eu-west-1,s3)}',
            'x-amz-content-sha256': '${sha256Hex(${bodyCanonicalParams})}',
        };
        expect(build({ headers }, { method: 'PUT', body: 'text' }).headers).toEqual({
            authorization: expect.stringMatching(
                /^AWS4-HMAC-SHA256 Credential=a\/20150830\/eu-west-1\/s3\/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date,/,
            ) as string,
            'x-amz-content-sha256': createHash('sha256').update('text').digest('hex'),
        });
    });

    test('a signature of the mode goes over everything', () => {
        let seen: ApiRequest | undefined;
        const sign = (request: ApiRequest) => {
            seen = request;
            return { authorization: 'signed' };
        };
        const { headers } = build({ headers: { accept: 'a' } }, { headers: { authorization: 'caller' } }, { sign });
        expect(seen?.headers).toEqual({ accept: 'a', authorization: 'caller' });
        expect(headers).toEqual({ accept: 'a', authorization: 'signed' });
    });
});

describe('query', () => {
    test('of the entry replaces parameters of the same name, and touches no other', () => {
        const query = { key: '${apiKey}', gone: '${connectionConfig.absent}' };
        expect(build({ query }, { endpoint: '/s?key=mine&q=a+b%2f~&k%65y=2&flag' }).url.href).toBe(
            'https://api.acme.example/v1/s?q=a+b%2f~&flag&key=k%26y',
        );
    });

    test('of the caller is literal', () => {
        expect(build({}, { endpoint: '/s?a=1', query: { a: '${apiKey}', 'b c': '&' } }).url.search).toBe('?a=%24%7BapiKey%7D&b%20c=%26');
    });

    test('goes with an address that is named whole, too', () => {
        const endpoint = new URL('https://other.example/x?a=1');
        expect(build({ query: { key: '${apiKey}' } }, { endpoint, query: { b: '2' } }).url.href).toBe('https://other.example/x?a=1&b=2&key=k%26y');
        expect(endpoint.search).toBe('?a=1');
    });
});

describe('body', () => {
    const body = { auth: { key: '${apiKey}', team: '${connectionConfig.absent}' }, v: '${connectionConfig.version}' };
    const json = 'application/json; charset=utf-8';
    const form = 'application/x-www-form-urlencoded';
    const post = (type: string | undefined, text: ApiCall['body'], proxy: Partial<ProxyEntry> = { body }) =>
        build(proxy, { method: 'POST', ...(text === undefined ? {} : { body: text }), ...(type && { headers: { 'content-type': type } }) });

    test('goes out byte for byte where the entry adds nothing', () => {
        const bytes = Buffer.from([0, 255]);
        expect(post('application/octet-stream', bytes, {}).body).toBe(bytes);
        expect(post(json, ' {"a": 1.0} ', {}).body).toBe(' {"a": 1.0} ');
        expect(post(json, '${apiKey}', {}).body).toBe('${apiKey}');
    });

    test.each<[string, string | undefined, ApiCall['body'], string | undefined]>([
        ['an object', json, '{"a":1,"v":"mine"}', '{"a":1,"v":"2","auth":{"key":"k&y"}}'],
        ['an object in bytes', json, Buffer.from('{"a":"é"}'), '{"a":"é","auth":{"key":"k&y"},"v":"2"}'],
        ['an object of a vendor’s type', 'application/vnd.acme+json', '{}', '{"auth":{"key":"k&y"},"v":"2"}'],
        ['nothing', undefined, undefined, '{"auth":{"key":"k&y"},"v":"2"}'],
        ['a form', form, 'a=1&v=mine', 'a=1&auth%5Bkey%5D=k%26y&v=2'],
        ['an empty form', form, undefined, 'auth%5Bkey%5D=k%26y&v=2'],
        ['a list', json, '[1]', '[1]'],
        ['a text', 'text/plain', 'hello', 'hello'],
        ['what is no JSON', json, '{', '{'],
    ])('%s gets what the entry adds, or stays', (_name, type, given, expected) => {
        expect(post(type, given).body).toBe(expected);
    });

    test('says what it is where nobody else does', () => {
        expect(post(undefined, undefined).headers).toEqual({ 'content-type': 'application/json' });
        expect(post(undefined, undefined, {}).headers).toEqual({});
        expect(post(form, undefined).headers).toEqual({ 'content-type': form });
        expect(post(undefined, '{}', { body, headers: { 'content-type': form } }).headers).toEqual({ 'content-type': form });
    });

    test('is not sent with GET, and nothing is added where nothing resolves', () => {
        expect(build({ body }, { body: '{"a":1}' }).body).toBeUndefined();
        expect(post(undefined, undefined, { body: { key: '${connectionConfig.absent}' } }).body).toBeUndefined();
    });
});

describe('base URL', () => {
    test('falls back to its other half', () => {
        const base_url = 'https://${connectionConfig.absent}.acme.example || https://api.acme.example';
        expect(build({ base_url }).url.href).toBe('https://api.acme.example/me');
    });

    test('what it lacks is named', () => {
        expect(() => build({ base_url: 'https://${connectionConfig.absent}.acme.example' })).toThrow(
            expect.objectContaining({ code: 'missing_value', field: 'absent' }),
        );
    });

    test('of the call comes first, then that of the connection', () => {
        const baseUrlOverride = new URL('https://override.example/api/');
        const baseUrl = new URL('https://own.example');
        expect(build({}, { baseUrlOverride }, { baseUrl }).url.href).toBe('https://override.example/api/me');
        expect(build({}, {}, { baseUrl }).url.href).toBe('https://own.example/me');
        expect(build({ base_url: 'https://${connectionConfig.absent}.acme.example' }, { baseUrlOverride }).url.host).toBe('override.example');
        expect(build(undefined, { baseUrlOverride }).url.href).toBe('https://override.example/api/me');
    });

    test('there must be one, and it names nobody', () => {
        expect(() => build(undefined)).toThrow(code('unsupported_provider'));
        for (const url of ['https://u:p@a.example', 'ftp://a.example', 'file:///etc/passwd']) {
            expect(() => build({}, { baseUrlOverride: new URL(url) })).toThrow(code('invalid_base_url'));
        }
    });
});

describe('a generic API, as the operator has set it up', () => {
    const integration_config = {
        keyPlacement: { type: 'string' as const, enum: ['header', 'query'], default_value: 'header' },
        keyName: { type: 'string' as const },
        valueTemplate: { type: 'string' as const, default_value: '${apiKey}' },
        baseUrl: { type: 'string' as const, format: 'uri' as const },
    };
    const generic = (settings: Record<string, string>, call: Partial<ApiCall> = {}) =>
        build({ base_url: 'https://base-url.invalid' }, call, { settings }, { integration_config });

    test('in a header', () => {
        const request = generic({ keyName: 'X-Key', baseUrl: 'https://private.example/api', valueTemplate: 'Key ${apiKey}, ${apiKey} $& ${other}' });
        expect([request.url.href, request.headers]).toEqual(['https://private.example/api/me', { 'x-key': 'Key k&y, k&y $& ${other}' }]);
    });

    test('in the query', () => {
        const request = generic({ keyName: 'key', keyPlacement: 'query', baseUrl: 'https://private.example' }, { endpoint: '/a?key=mine' });
        expect([request.url.href, request.headers]).toEqual(['https://private.example/a?key=k%26y', {}]);
    });

    test('a caller’s header wins, as over any entry’s', () => {
        expect(generic({ keyName: 'Authorization', baseUrl: 'https://a.example' }, { headers: { authorization: 'own' } }).headers).toEqual({
            authorization: 'own',
        });
    });

    test('an address that is none is refused without being shown', () => {
        expect(() => generic({ keyName: 'k', baseUrl: 'nonsense' })).toThrow(code('invalid_base_url'));
    });
});
