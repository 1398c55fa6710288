import { createHash, createHmac, generateKeyPairSync, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { interpolate, interpolateTree } from '../../src/providers/value-template.ts';

const values = {
    connectionConfig: { version: '2023', count: 7, empty: '', flag: true, 'team.id': 'T1', nested: { id: 'N1' } },
    credentials: { apiKey: 'k', username: 'u', password: '', privateKey: { id: 'pk' } },
    accessToken: 'at',
    clientId: 'ci',
    clientSecret: 'cs',
    random: '00000000-0000-4000-8000-000000000000',
};

describe('interpolate', () => {
    it.each([
        ['plain text', 'plain text'],
        ['a || b', 'a || b'],
        ['$ {x} }', '$ {x} }'],
        ['Bearer ${accessToken}', 'Bearer at'],
        ['${apiKey}/${username}', 'k/u'],
        ['${credentials.apiKey}', 'k'],
        ['${credentials.privateKey.id}', 'pk'],
        ['${clientId}:${clientSecret}', 'ci:cs'],
        ['${random}', '00000000-0000-4000-8000-000000000000'],
        ['v${connectionConfig.version}', 'v2023'],
        ['${connectionConfig.count}', '7'],
        ['${connectionConfig.team.id}', 'T1'],
        ['${connectionConfig.nested.id}', 'N1'],
        ['Basic ${base64(${username}:${password})}', 'Basic dTo='],
        ['${base64(${base64(é)})}', 'dzZrPQ=='],
        ['${connectionConfig.version} || 2022-11-28', '2023'],
        ['${connectionConfig.empty} || 2022-11-28', '2022-11-28'],
        ['${connectionConfig.absent} || 2022-11-28', '2022-11-28'],
        ['a${accessToken}${connectionConfig.absent} || b', 'b'],
        ['${connectionConfig.absent} || ${connectionConfig.version}', '2023'],
        ['${password} || none', 'none'],
    ])('%s → %s', (template, expected) => {
        expect(interpolate(template, values)).toBe(expected);
    });

    it.each([
        '${connectionConfig.absent}',
        '${connectionConfig.empty}',
        '${connectionConfig.flag}',
        '${connectionConfig.nested}',
        'x ${credentials.absent}',
        '${base64(${connectionConfig.absent})}',
        '${connectionConfig.absent} || ${credentials.absent}',
        '${now}',
        '${method}',
        '${step1.token}',
        '${fingerprint(${username})}',
        '${ed25519Sign(text, ${username})}',
        '${awsSigV4(${username}, ${username}, us-east-1, iam)}',
    ])('%s does not resolve', (template) => {
        expect(interpolate(template, values)).toBeUndefined();
    });

    it('finds nothing where nothing was given', () => {
        expect(interpolate('${accessToken}', {})).toBeUndefined();
        expect(interpolate('${connectionConfig.toString}', { connectionConfig: {} })).toBeUndefined();
        expect(interpolate('${connectionConfig.__proto__.x}', { connectionConfig: {} })).toBeUndefined();
    });

    it('accepts an empty password', () => {
        expect(interpolate('${password}', values)).toBe('');
    });

    it.each([
        ['${accesToken}', 'names no known value'],
        ['${md5(x)}', 'no function'],
        ['${now+7:parsecs}', 'names no known value'],
        ['${now:}', 'names no known value'],
        ['${hmacSha1Hex(${accessToken})}', '2 arguments'],
        ['${awsSigV4(a, b, c)}', '4 or 5 arguments'],
        ['${base64(${accessToken})', 'close the function'],
        ['${accessToken', 'close'],
    ])('refuses %s', (template, message) => {
        expect(() => interpolate(template, values)).toThrow(
            expect.objectContaining({ name: 'ExpressionError', message: expect.stringContaining(message) }),
        );
    });

    const hostile = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('${accessToken}', 'a || b', '${base64(x)}', '}', '$', '$1', '$&', ', x', ')}', '${now}', '__proto__'),
    );

    it('never evaluates inserted text', () => {
        fc.assert(
            fc.property(hostile, (key) => {
                const given = { credentials: { apiKey: key }, accessToken: 'leak' };
                expect(interpolate('Key ${apiKey};', given)).toBe(`Key ${key};`);
                expect(interpolate('${base64(${apiKey})}', given)).toBe(Buffer.from(key, 'utf8').toString('base64'));
                // No comma of a value separates arguments.
                expect(interpolate('${hmacSha1Hex(a${apiKey},b, ${apiKey})}', given)).toBe(createHmac('sha1', key).update(`a${key},b`).digest('hex'));
            }),
        );
    });

    it('finds own members only, whatever they are called', () => {
        const name = fc.oneof(
            fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length'),
            fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]*$/),
        );
        fc.assert(
            fc.property(name, name, (asked, given) => {
                const bag = Object.fromEntries([[given, 'found']]);
                for (const root of ['connectionConfig', 'credentials', 'assertionOption'] as const) {
                    expect(interpolate(`\${${root}.${asked}}`, { [root]: bag })).toBe(asked === given ? 'found' : undefined);
                }
                expect(interpolate(`\${step1.${asked}}`, { steps: [bag] })).toBe(asked === given ? 'found' : undefined);
            }),
        );
    });
});

describe('each root', () => {
    it.each([
        ['${assertionOption.userName}', { assertionOption: { userName: 'u' } }, 'u'],
        ['${token}', { token: 'jwt' }, 'jwt'],
        ['Bearer ${refresh_token}', { refresh_token: 'rt' }, 'Bearer rt'],
        ['${step1.restApiEndpoint}/api', { steps: [{ restApiEndpoint: 'https://x.example' }] }, 'https://x.example/api'],
        ['${step2.a.b}', { steps: [{}, { a: { b: 3 } }] }, '3'],
        ['${step2.a}', { steps: [{ a: 1 }] }, undefined],
        ['${step1.list.0.id}', { steps: [{ list: [{ id: 'first' }] }] }, 'first'],
        ['${step1.text}', { steps: ['text'] }, undefined],
        ['${credentials.raw.accountID}', { credentials: { raw: { accountID: 'A' } } }, 'A'],
    ])('%s', (template, given, expected) => {
        expect(interpolate(template, given)).toBe(expected);
    });

    const request = {
        method: 'post',
        url: new URL('https://API.acme.example:8443/v1/a%20b?z=1&a-b=2&a=%2B&a=+!'),
        endpoint: '/a%20b?z=1',
        body: '{"a":1}',
    };
    it.each([
        ['${method}', 'POST'],
        ['${host}', 'api.acme.example:8443'],
        ['${path}', '/v1/a%20b'],
        ['${endpoint}', '/a%20b?z=1'],
        ['${bodyCanonicalParams}', '{"a":1}'],
        ['${params}', 'a=%20%21&a=%2B&a-b=2&z=1'],
    ])('%s of the outgoing call', (template, expected) => {
        expect(interpolate(template, { request })).toBe(expected);
    });

    it('takes the parameters of a form from its body', () => {
        const form = { ...request, body: 'b=1+2&a=~', headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' } };
        expect(interpolate('${params}', { request: form })).toBe('a=~&b=1%202');
        expect(interpolate('${bodyCanonicalParams}', { request: form })).toBe('b=1+2&a=~');
    });

    it('has an empty body where there is none, and no text of bytes', () => {
        expect(interpolate('${bodyCanonicalParams}', { request: { ...request, body: undefined } })).toBe('');
        expect(interpolate('${bodyCanonicalParams}', { request: { ...request, body: Buffer.from([255]) } })).toBeUndefined();
    });
});

describe('each function', () => {
    const ed25519 = generateKeyPairSync('ed25519');
    const pem = ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;

    it.each([
        // auth-modes §20.1
        ['${sha256Hex(${base64(abc)})}', '35d95694d3f160215db293c7899daa5907837838fb4b8119ed713e32446c1266'],
        // FIPS 180-2, appendix B.1
        ['${sha256Hex(abc)}', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
        ['${sha256Base64(abc)}', 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='],
        // RFC 2202 §3, test case 2
        ['${hmacSha1Hex(what do ya want for nothing?, Jefe)}', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
        ['${hmacSha1Hex(what do ya want for nothing?,Jefe)}', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
    ])('%s', (template, expected) => {
        expect(interpolate(template, {})).toBe(expected);
    });

    it.each([
        ['as PEM', pem],
        ['with line breaks spelled out', pem.replaceAll('\n', '\\n')],
        ['on one line', pem.replaceAll('\n', ' ')],
        ['without the lines around it', pem.split('\n').slice(1, -2).join('')],
    ])('ed25519Sign takes a key %s', (_how, key) => {
        const template = '${ed25519Sign("@method": ${method}, (a b);x="${username}", ${password})}';
        const signature = interpolate(template, {
            credentials: { username: 'id', password: key },
            request: { method: 'GET', url: new URL('https://a.example'), endpoint: '/', body: undefined },
        });
        const signed = Buffer.from('"@method": GET, (a b);x="id"');
        expect(verify(null, signed, ed25519.publicKey, Buffer.from(signature ?? '', 'base64'))).toBe(true);
    });

    it('fingerprint is of the public key, whichever half is given', () => {
        const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
        const digest = createHash('sha256')
            .update(publicKey.export({ type: 'spki', format: 'der' }))
            .digest('base64');
        for (const key of [publicKey.export({ type: 'spki', format: 'pem' }), privateKey.export({ type: 'pkcs8', format: 'pem' })]) {
            expect(interpolate('${credentials.a}.${fingerprint(${credentials.privateKey})}', { credentials: { a: 'A', privateKey: key } })).toBe(
                `A.SHA256:${digest}`,
            );
        }
    });

    it('awsSigV4 signs what is sent, with the date of the entry', () => {
        // The example of the Signature Version 4 documentation (IAM ListUsers).
        const template = '${awsSigV4(${credentials.username}, ${credentials.password}, us-east-1, iam, elsewhere.example)}';
        const given = {
            credentials: { username: 'AKIDEXAMPLE', password: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
            now: Date.UTC(2015, 7, 30, 12, 36),
            request: {
                method: 'GET',
                url: new URL('https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08'),
                endpoint: '/?Action=ListUsers&Version=2010-05-08',
                body: undefined,
                headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', accept: 'text/xml' },
            },
        };
        expect(interpolate(template, given)).toBe(
            'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, ' +
                'Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
        );
        expect(interpolate('${now:YYYYMMDDTHHmmss[Z]}', given)).toBe('20150830T123600Z');
        expect(interpolate(template, { ...given, credentials: { ...given.credentials, password: '' } })).toBeUndefined();
    });
});

describe('templates of the catalogue, as they are written', () => {
    const given = {
        connectionConfig: { region: 'eu-west-1', service: 's3', tenant: 't' },
        credentials: { username: 'u', password: 'p', appId: 'app', secretKey: 's', apiSecretId: 'id', apiSecretKey: 'key' },
        random: 'r',
        now: Date.UTC(2024, 0, 2, 3, 4, 5, 678),
        request: { method: 'GET', url: new URL('https://api.example/v1/x?b=2&a=1'), endpoint: '/v1/x?b=2&a=1', body: undefined },
    };
    const date = 'Tue, 02 Jan 2024 03:04:05 +0000';

    it.each([
        [
            'cisco-duo-admin',
            'Basic ${base64(${credentials.username}:${hmacSha1Hex(${now:ddd, DD MMM YYYY HH:mm:ss ZZ}\n${method}\n${host}\n${path}\n${params}, ${credentials.password})})}',
            `Basic ${btoa(`u:${createHmac('sha1', 'p').update(`${date}\nGET\napi.example\n/v1/x\na=1&b=2`).digest('hex')}`)}`,
        ],
        [
            'avanan',
            '${sha256Hex(${base64(${random}${credentials.appId}${now:YYYY-MM-DDTHH:mm:ss}${endpoint}${credentials.secretKey})})}',
            createHash('sha256').update(btoa('rapp2024-01-02T03:04:05/v1/x?b=2&a=1s')).digest('hex'),
        ],
        ['streamline-ai', 'sha-256=:${sha256Base64(${bodyCanonicalParams})}:', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'],
        [
            'streamline-ai',
            'sig=("@method" "@target-uri");alg="ed25519";created=${now:X};expires=${now+1:minutes:X};keyid="${credentials.username}"',
            'sig=("@method" "@target-uri");alg="ed25519";created=1704164645;expires=1704164705;keyid="u"',
        ],
        ['connectsecure', '${base64(${connectionConfig.tenant}+${credentials.username}:${credentials.password})}', btoa('t+u:p')],
        ['zendesk-api-key', 'Basic ${base64(${credentials.username}/token:${credentials.password})}', `Basic ${btoa('u/token:p')}`],
        ['heymarket', '${credentials.apiSecretId}||${credentials.apiSecretKey}', 'id||key'],
        [
            'semble',
            'mutation { signIn(email: "${credentials.username}", password: "${credentials.password}") { token } }',
            'mutation { signIn(email: "u", password: "p") { token } }',
        ],
        ['sage-intacct', '{{$guid}}', '{{$guid}}'],
        ['sage-intacct', '${now}', '2024-01-02T03:04:05.678Z'],
        ['tripletex', '${now+7:days:YYYY-MM-DD}', '2024-01-09'],
        ['basecamp', '${connectionConfig.appDetails} || Valetkey', 'Valetkey'],
        ['gong-oauth', '${connectionConfig.absent} || https://api.gong.io', 'https://api.gong.io'],
    ])('%s: %s', (_entry, template, expected) => {
        expect(interpolate(template, given)).toBe(expected);
    });

    it.each([
        '${awsSigV4(${credentials.username}, ${credentials.password}, ${connectionConfig.region}, ${connectionConfig.service}, ${connectionConfig.service}.${connectionConfig.region}.amazonaws.com)}',
        '${awsSigV4(${credentials.username}, ${credentials.password}, us-east-1, iam)}',
    ])('%s', (template) => {
        expect(interpolate(template, given)).toMatch(
            /^AWS4-HMAC-SHA256 Credential=u\/20240102\/[a-z0-9-]+\/(?:s3|iam)\/aws4_request, SignedHeaders=host;x-amz-date, Signature=[0-9a-f]{64}$/,
        );
    });
});

describe('interpolateTree', () => {
    it('resolves every text and leaves out what does not resolve', () => {
        const tree = {
            auth: { key: '${apiKey}', tenant: '${connectionConfig.absent}' },
            limit: 1,
            all: true,
            list: ['${username}', '${now}'],
            none: {},
            gone: { a: '${now}' },
        };
        expect(interpolateTree(tree, values)).toEqual({ auth: { key: 'k' }, limit: 1, all: true, list: ['u'], none: {} });
    });
});
