import { createPublicKey, verify } from 'node:crypto';
import { Nango } from '@nangohq/node';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { systemSources } from '../../src/sources.ts';
import { stableJson } from '../../src/webhooks/enqueue.ts';
import { newSigningKeys, publicVerificationKey, signatureHeaders, type LiveSigningKeys } from '../../src/webhooks/signature.ts';

/** The first line of webhooks-proxy-settings §1.4. */
const body =
    '{"authMode":"OAUTH2","connectionId":"c-1","environment":"dev","from":"nango","operation":"creation","provider":"github",' +
    '"providerConfigKey":"github-dev","success":true,"tags":{"end_user_id":"u1"},"type":"auth"}';
const uuid = '11111111-2222-4333-8444-555555555555';
const { ed25519 } = newSigningKeys(systemSources);
const seconds = (): number => Math.floor(Date.now() / 1000);

const entries = (headers: Record<string, string>): Map<string, string> =>
    new Map(headers['webhook-signature']!.split(' ').map((entry) => entry.split(',') as [string, string]));

describe('vectors', () => {
    test('X-Nango-* of §1.6', () => {
        expect(Buffer.byteLength(body)).toBe(210);
        expect(signatureHeaders([{ secret: uuid, ed25519 }], 'msg_01', 1_767_225_600, body)).toMatchObject({
            'x-nango-signature': 'd8dede5936a03d1c82ed1c80c337cb8f9a070aa84ad76020913f8639a672c734',
            'x-nango-hmac-sha256': '35a3e411d85d075637dc0d75409a6422d9f13ebb82f62f8187c4aee4d0cb1310',
        });
    });

    test('X-Nango-* of §20.1', () => {
        expect(signatureHeaders([{ secret: 'sk', ed25519 }], 'msg_01', 1_767_225_600, '{"a":1}')).toMatchObject({
            'x-nango-signature': 'db8d9b561cb845897149bd18755ca118afa573f7ccf8af21524cb71e7d5a958d',
            'x-nango-hmac-sha256': '80f617da151d0524599687f52f21f0d0db6abf69542c7cbaa0db76257aa195e5',
        });
    });

    test('webhook-signature of W4', () => {
        const secret = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
        const headers = signatureHeaders([{ secret, ed25519 }], 'msg_01', 1_767_225_600, body);
        expect(headers).toMatchObject({ 'webhook-id': 'msg_01', 'webhook-timestamp': '1767225600' });
        expect(entries(headers).get('v1')).toBe('suqAeAFxCq3fFoTJGw+kvTWTL9JxCnrTaTWvylOUa+M=');
    });
});

describe('while keys overlap (W6)', () => {
    const w4 = { secret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=', ed25519 };
    const [w4Signature, uuidHmac] = [
        'v1,suqAeAFxCq3fFoTJGw+kvTWTL9JxCnrTaTWvylOUa+M=',
        '35a3e411d85d075637dc0d75409a6422d9f13ebb82f62f8187c4aee4d0cb1310',
    ];
    const sign = (...keys: LiveSigningKeys) => signatureHeaders(keys, 'msg_01', 1_767_225_600, body);

    test('each key has its entry, newest first, and the other HMAC has a header', () => {
        const headers = sign(w4, { secret: uuid, ed25519 });
        expect(headers['webhook-signature']!.split(' ')[0]).toBe(w4Signature);
        expect(headers['x-valetkey-hmac-sha256-other']).toBe(uuidHmac);
        expect(headers['x-nango-hmac-sha256']).toBe(sign(w4)['x-nango-hmac-sha256']);
    });

    test('the key that signs the legacy headers need not be the newest', () => {
        const headers = sign(w4, newSigningKeys(systemSources), { secret: uuid, ed25519, signsLegacy: true });
        expect(headers).toMatchObject({
            'x-nango-signature': 'd8dede5936a03d1c82ed1c80c337cb8f9a070aa84ad76020913f8639a672c734',
            'x-nango-hmac-sha256': uuidHmac,
            'x-valetkey-hmac-sha256-other': sign(w4)['x-nango-hmac-sha256'],
        });
        expect(headers['webhook-signature']!.split(' ').map((entry) => entry.split(',')[0])).toEqual(['v1', 'v1', 'v1', 'v1a', 'v1a', 'v1a']);
    });

    test('one key alone has no other', () => {
        expect(sign(w4)).not.toHaveProperty('x-valetkey-hmac-sha256-other');
    });
});

describe('the official clients verify', () => {
    const bodies = fc.jsonValue().map(stableJson);

    test('standardwebhooks, with the secret as it is shown', () => {
        fc.assert(
            fc.property(bodies, (text) => {
                const keys = newSigningKeys(systemSources);
                const headers = signatureHeaders([keys], 'msg_01ABC', seconds(), text);
                expect(new Webhook(keys.secret).verify(text, headers)).toEqual(JSON.parse(text));
            }),
            { numRuns: 20 },
        );
    });

    test('standardwebhooks, with the whsec_ form of an imported UUID', () => {
        const headers = signatureHeaders([{ secret: uuid, ed25519 }], 'msg_01', seconds(), body);
        expect(new Webhook(`whsec_${Buffer.from(uuid).toString('base64')}`).verify(body, headers)).toEqual(JSON.parse(body));
    });

    test('standardwebhooks refuses another body, id, time or key', () => {
        const keys = newSigningKeys(systemSources);
        const timestamp = seconds();
        const headers = signatureHeaders([keys], 'msg_01', timestamp, body);
        const check = (changed: Record<string, string>, text = body, secret = keys.secret) =>
            new Webhook(secret).verify(text, { ...headers, ...changed });
        expect(() => check({}, `${body} `)).toThrow();
        expect(() => check({ 'webhook-id': 'msg_02' })).toThrow();
        expect(() => check({ 'webhook-timestamp': String(timestamp - 1) })).toThrow();
        expect(() => check({}, body, newSigningKeys(systemSources).secret)).toThrow();
        expect(check({})).toEqual(JSON.parse(body));
    });

    test.each([uuid, newSigningKeys(systemSources).secret])('the Node client, with signing key %s', (secret) => {
        const nango = new Nango({ apiKey: uuid, webhookSigningKey: secret });
        const headers = signatureHeaders([{ secret, ed25519 }], 'msg_01', seconds(), body);
        expect(nango.verifyIncomingWebhookRequest(body, headers)).toBe(true);
        expect(nango.verifyIncomingWebhookRequest(`${body} `, headers)).toBe(false);
        const other = new Nango({ apiKey: uuid, webhookSigningKey: newSigningKeys(systemSources).secret });
        expect(other.verifyIncomingWebhookRequest(body, headers)).toBe(false);
    });

    test('the Node client’s deprecated method, from the parsed body', () => {
        const nango = new Nango({ secretKey: uuid });
        const headers = signatureHeaders([{ secret: uuid, ed25519 }], 'msg_01', seconds(), body);
        expect(nango.verifyWebhookSignature(headers['x-nango-signature']!, JSON.parse(body))).toBe(true);
        expect(nango.verifyWebhookSignature(headers['x-nango-signature']!, { ...JSON.parse(body), success: false })).toBe(false);
    });
});

describe('the asymmetric signature (W5)', () => {
    /** From the text alone, as a receiver has it: RFC 8410 §4 puts a fixed head before the 32 bytes. */
    const publicKey = (text: string) => {
        expect(text).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
        const raw = Buffer.from(text.slice('whpk_'.length), 'base64');
        return createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]), format: 'der', type: 'spki' });
    };

    test('verifies with the whpk_ key, over id, time and body', () => {
        const keys = newSigningKeys(systemSources);
        const headers = signatureHeaders([keys], 'msg_01', 1_767_225_600, body);
        const signature = Buffer.from(entries(headers).get('v1a')!, 'base64');
        const key = publicKey(publicVerificationKey(keys));
        expect(verify(null, Buffer.from(`msg_01.1767225600.${body}`), key, signature)).toBe(true);
        expect(verify(null, Buffer.from(`msg_01.1767225601.${body}`), key, signature)).toBe(false);
        expect(
            verify(null, Buffer.from(`msg_01.1767225600.${body}`), publicKey(publicVerificationKey(newSigningKeys(systemSources))), signature),
        ).toBe(false);
    });

    test('of RFC 8032 §7.1, test 1: the seed gives the public key', () => {
        const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
        const [head, publicHex] = ['302e020100300506032b657004220420', 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'];
        const keys = { secret: uuid, ed25519: Buffer.from(head + seed, 'hex').toString('base64') };
        expect(Buffer.from(publicVerificationKey(keys).slice('whpk_'.length), 'base64').toString('hex')).toBe(publicHex);
    });
});

test('a later attempt changes the time and what is signed over it, not the X-Nango-* values (W3, W4)', () => {
    const keys = newSigningKeys(systemSources);
    const [first, second] = [100, 101].map((timestamp) => signatureHeaders([keys], 'msg_01', timestamp, body));
    for (const name of ['webhook-id', 'x-nango-signature', 'x-nango-hmac-sha256']) {
        expect(second![name]).toBe(first![name]);
    }
    expect(second!['webhook-timestamp']).toBe('101');
    expect(second!['webhook-signature']).not.toBe(first!['webhook-signature']);
});

test('new keys are 32 random bytes in the whsec_ form', () => {
    const [one, two] = [newSigningKeys(systemSources), newSigningKeys(systemSources)];
    expect(one.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(one.secret).not.toBe(two.secret);
    expect(publicVerificationKey(one)).not.toBe(publicVerificationKey(two));
});
