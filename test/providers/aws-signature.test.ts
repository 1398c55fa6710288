/** Signature Version 4 against the vectors that AWS publishes: its test suite, and the examples of the S3 documentation. */
import { describe, expect, test } from 'vitest';
import { awsAuthorization, signAwsRequest } from '../../src/providers/aws-signature.ts';

const signatureOf = (authorization: string | undefined): string | undefined => /Signature=([0-9a-f]{64})$/.exec(authorization ?? '')?.[1];

describe('the test suite of AWS', () => {
    const keys = {
        accessKeyId: 'AKIDEXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
        region: 'us-east-1',
        service: 'service',
    };
    const now = Date.UTC(2015, 7, 30, 12, 36);
    const sign = (method: string, path: string, headers: Record<string, string> = {}, body?: string): string =>
        awsAuthorization({ method, url: new URL(path, 'https://example.amazonaws.com'), headers, body }, keys, now);

    const token = '6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267';
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    test.each<[string, Parameters<typeof sign>, signedHeaders: string, signature: string]>([
        ['get-vanilla', ['GET', '/'], 'host;x-amz-date', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
        [
            'get-vanilla-query-order-key-case',
            ['GET', '/?Param2=value2&Param1=value1'],
            'host;x-amz-date',
            'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
        ],
        [
            'get-vanilla-empty-query-key',
            ['GET', '/?Param1=value1'],
            'host;x-amz-date',
            'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
        ],
        [
            'get-vanilla-with-session-token',
            ['GET', '/', { 'x-amz-security-token': token }],
            'host;x-amz-date;x-amz-security-token',
            '07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8',
        ],
        ['post-vanilla', ['POST', '/'], 'host;x-amz-date', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
        [
            'post-x-www-form-urlencoded',
            ['POST', '/', form, 'Param1=value1'],
            'content-type;host;x-amz-date',
            'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
        ],
    ])('%s', (_name, request, signedHeaders, signature) => {
        expect(sign(...request)).toBe(
            `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${signedHeaders}, Signature=${signature}`,
        );
    });

    test('get-slashes: empty segments do not count', () => {
        expect(sign('GET', '//example.amazonaws.com//example//')).not.toBe(sign('GET', '/example'));
        expect(sign('GET', '/example//')).toBe(sign('GET', '/example/'));
    });

    test('blanks inside and around a header do not count', () => {
        expect(sign('GET', '/', { 'my-header1': '  a   b ' })).toBe(sign('GET', '/', { 'My-Header1': 'a b' }));
    });

    test('repeated parameters are ordered by value, all of them', () => {
        expect(sign('GET', '/?a=2&a=1')).toBe(sign('GET', '/?a=1&a=2'));
        expect(sign('GET', '/?a=2&a=1')).not.toBe(sign('GET', '/?a=1'));
    });

    test('headers that others add or change are not signed', () => {
        const headers = { 'user-agent': 'x', connection: 'close', 'x-amzn-trace-id': 't', 'content-length': '0', authorization: 'old' };
        expect(sign('GET', '/', headers)).toBe(sign('GET', '/'));
    });
});

describe('the IAM example', () => {
    test('ListUsers', () => {
        const request = {
            method: 'GET',
            url: new URL('https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08'),
            headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
            body: undefined,
        };
        const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', region: 'us-east-1', service: 'iam' };
        expect(awsAuthorization(request, keys, Date.UTC(2015, 7, 30, 12, 36))).toBe(
            'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, ' +
                'Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
        );
    });
});

describe('the S3 examples', () => {
    const keys = {
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
        region: 'us-east-1',
        service: 's3',
    };
    const now = Date.UTC(2013, 4, 24);
    const sign = (method: string, path: string, headers: Record<string, string> = {}, body?: string): Record<string, string> =>
        signAwsRequest({ method, url: new URL(path, 'https://examplebucket.s3.amazonaws.com'), headers, body }, keys, now);

    test.each<[string, Parameters<typeof sign>, string]>([
        ['GET object', ['GET', '/test.txt', { range: 'bytes=0-9' }], 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41'],
        [
            'PUT object',
            [
                'PUT',
                '/test$file.text',
                { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
                'Welcome to Amazon S3.',
            ],
            '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
        ],
        ['GET bucket lifecycle', ['GET', '/?lifecycle'], 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
        ['GET bucket (list objects)', ['GET', '/?max-keys=2&prefix=J'], '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
    ])('%s', (_name, request, signature) => {
        expect(signatureOf(sign(...request)['authorization'])).toBe(signature);
    });

    test('the headers to add', () => {
        const added = signAwsRequest(
            { method: 'GET', url: new URL('https://examplebucket.s3.amazonaws.com/'), headers: {}, body: undefined },
            { ...keys, sessionToken: 'st' },
            now,
        );
        expect(added).toEqual({
            'x-amz-date': '20130524T000000Z',
            'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
            'x-amz-security-token': 'st',
            authorization: expect.stringContaining('SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,') as string,
        });
    });

    test('a body may stay unsigned', () => {
        const headers = { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };
        expect(sign('PUT', '/x', headers, 'a')).toEqual(sign('PUT', '/x', headers, 'b'));
        expect(sign('PUT', '/x', headers, 'a')['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
    });

    test('bytes and text are hashed alike', () => {
        const url = new URL('https://examplebucket.s3.amazonaws.com/x');
        const signed = (body: string | Uint8Array) => signAwsRequest({ method: 'PUT', url, headers: {}, body }, keys, now);
        expect(signed('é')).toEqual(signed(Buffer.from('é')));
    });
});

describe('the path, which an URL has encoded once already', () => {
    const sign = (service: string, path: string): string | undefined =>
        signatureOf(
            awsAuthorization(
                { method: 'GET', url: new URL(path, 'https://a.example'), headers: {}, body: undefined },
                { accessKeyId: 'a', secretAccessKey: 's', region: 'r', service },
                0,
            ),
        );

    test('S3 encodes a name once, however it was sent', () => {
        expect(sign('s3', "/a/it's($1)")).toBe(sign('s3', '/a/it%27s%28%241%29'));
        expect(sign('s3', '/a//b')).not.toBe(sign('s3', '/a/b'));
        expect(sign('s3', '/a%zz')).toMatch(/^[0-9a-f]{64}$/);
    });

    test('other services encode what was sent again', () => {
        expect(sign('x', '/a$b')).not.toBe(sign('x', '/a%24b'));
        expect(sign('x', '/ሴ')).toBe(sign('x', '/%E1%88%B4'));
    });
});
