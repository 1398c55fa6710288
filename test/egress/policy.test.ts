import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEgress, EgressAllowError, EgressError } from '../../src/egress/egress.ts';
import type { Egress, Resolve } from '../../src/egress/egress.ts';
import { parseAllowList } from '../../src/egress/allow-list.ts';
import { createPolicy } from '../../src/egress/policy.ts';
import { systemSources } from '../../src/sources.ts';

function egressWith(allow: readonly string[] = [], resolve?: Resolve): Egress {
    return createEgress({ allow, sources: systemSources, userAgent: 'valetkey-test', ...(resolve ? { resolve } : {}) });
}

/** `open`, or why the URL is refused. */
function verdict(egress: Egress, url: string): string {
    try {
        egress.assertUrl(url);
        return 'open';
    } catch (error) {
        if (!(error instanceof EgressError)) throw error;
        expect(error.neverSent).toBe(true);
        expect(error.retryable).toBe(false);
        return error.reason ?? error.code;
    }
}

const BLOCKED_ADDRESSES = {
    'this network': ['0.0.0.0', '0.1.2.3'],
    loopback: ['127.0.0.1', '127.255.255.254', '[::1]'],
    unspecified: ['[::]'],
    'RFC 1918': ['10.0.0.0', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1', '192.168.255.255'],
    'RFC 6598': ['100.64.0.1', '100.127.255.255'],
    'RFC 3927': ['169.254.0.1', '169.254.169.254'],
    'protocol assignments': ['192.0.0.8', '192.0.0.171'],
    documentation: ['192.0.2.1', '198.51.100.7', '203.0.113.9', '[2001:db8::1]', '[3fff::1]'],
    benchmarking: ['198.18.0.1', '198.19.255.255', '[2001:2::1]'],
    '6to4 relay': ['192.88.99.1'],
    multicast: ['224.0.0.1', '239.255.255.255', '[ff02::1]'],
    reserved: ['240.0.0.1', '255.255.255.254', '[4000::1]', '[e000::1]'],
    broadcast: ['255.255.255.255'],
    'RFC 4193': ['[fc00::1]', '[fd12:3456:789a::1]'],
    'link-local': ['[fe80::1]', '[febf::1]'],
    'site-local': ['[fec0::1]'],
    discard: ['[100::1]'],
    'segment routing': ['[5f00::1]'],
    NAT64: ['[64:ff9b::8.8.8.8]', '[64:ff9b::10.0.0.1]', '[64:ff9b:1::10.0.0.1]', '[64:ff9b:1:ffff::1]'],
    '6to4': ['[2002:7f00:1::]', '[2002:808:808::1]'],
    Teredo: ['[2001::1]', '[2001:0:4136:e378:8000:63bf:3fff:fdd2]'],
    ORCHID: ['[2001:10::1]', '[2001:20::1]'],
    'IPv4-mapped': ['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::ffff:169.254.169.254]', '[0:0:0:0:0:FFFF:0A00:0001]'],
    'IPv4-compatible': ['[::127.0.0.1]', '[::8.8.8.8]', '[::a9fe:a9fe]'],
    'IPv4-translated': ['[::ffff:0:127.0.0.1]'],
};

describe('addresses', () => {
    it.each(Object.entries(BLOCKED_ADDRESSES).flatMap(([range, hosts]) => hosts.map((host) => [range, host])))('blocks %s: %s', (_range, host) => {
        expect(verdict(egressWith(), `https://${host}/`)).toBe('address');
    });

    it.each([
        '127.1',
        '127.0.1',
        '2130706433',
        '0x7f.0.0.1',
        '0x7f000001',
        '0177.0.0.1',
        '017700000001',
        '0x7f.1',
        '127.0.0.1.',
        '%31%32%37.0.0.1',
        '１２７.０.０.１',
        '127。0。0。1',
        '⑫7.0.0.1',
        '0',
        '0x0',
        '3232235777',
        '0xa9fea9fe',
        '[::FFFF:127.0.0.1]',
        '[0000:0000:0000::0001]',
    ])('blocks the spelling %s', (host) => {
        expect(verdict(egressWith(), `https://${host}/`)).toBe('address');
    });

    it.each([
        '1.1.1.1',
        '8.8.8.8',
        '9.255.255.255',
        '11.0.0.0',
        '100.63.255.255',
        '100.128.0.0',
        '126.255.255.255',
        '128.0.0.1',
        '169.253.255.255',
        '172.15.255.255',
        '172.32.0.0',
        '192.167.255.255',
        '198.17.255.255',
        '198.20.0.0',
        '223.255.255.255',
        '[2606:4700:4700::1111]',
        '[2001:4860:4860::8888]',
        '[2a00:1450::1]',
        '[::ffff:8.8.8.8]',
    ])('lets the public address %s pass', (host) => {
        expect(verdict(egressWith(), `https://${host}/`)).toBe('open');
    });

    const blockedIpv4 = fc.oneof(
        fc.tuple(fc.constantFrom(0, 10, 127, 224, 239, 240, 255), fc.nat(255), fc.nat(255), fc.nat(255)),
        fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), fc.nat(255), fc.nat(255)),
        fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), fc.nat(255), fc.nat(255)),
        fc.tuple(fc.constant(192), fc.constant(168), fc.nat(255), fc.nat(255)),
        fc.tuple(fc.constant(169), fc.constant(254), fc.nat(255), fc.nat(255)),
    );
    const embed: ((high: number, low: number, any: number) => number[])[] = [
        (high, low) => [0, 0, 0, 0, 0, 0xffff, high, low], // mapped
        (high, low) => [0, 0, 0, 0, 0, 0, high, low], // compatible
        (high, low) => [0, 0, 0, 0, 0xffff, 0, high, low], // translated
        (high, low) => [0x64, 0xff9b, 0, 0, 0, 0, high, low], // NAT64
        (high, low, any) => [0x64, 0xff9b, 1, any, any, any, high, low], // NAT64, local use
        (high, low, any) => [0x2002, high, low, any, 0, 0, 0, any], // 6to4
        (high, low, any) => [0x2001, 0, any, any, any, any, high ^ 0xffff, low ^ 0xffff], // Teredo
    ];
    /** One of the many ways to write eight groups (RFC 4291 §2.2). */
    const spelling = fc.record({ upper: fc.boolean(), padded: fc.boolean(), dotted: fc.boolean(), compressAt: fc.nat(7) });
    const spell = (groups: number[], style: { upper: boolean; padded: boolean; dotted: boolean; compressAt: number }): string => {
        const texts = groups.map((group) => group.toString(16).padStart(style.padded ? 4 : 1, '0'));
        if (style.dotted) {
            const [high = 0, low = 0] = groups.slice(6);
            texts.splice(6, 2, [high >> 8, high & 255, low >> 8, low & 255].join('.'));
        }
        let end = style.compressAt;
        while (end < Math.min(texts.length, 8) && groups[end] === 0 && !texts[end]?.includes('.')) end += 1;
        const text = end - style.compressAt < 2 ? texts.join(':') : `${texts.slice(0, style.compressAt).join(':')}::${texts.slice(end).join(':')}`;
        return style.upper ? text.toUpperCase() : text;
    };
    const disguised = fc
        .tuple(blockedIpv4, fc.constantFrom(...embed), fc.nat(0xffff), spelling)
        .map(([[a, b, c, d], place, any, style]) => spell(place(a * 256 + b, c * 256 + d, any), style));

    it('blocks every textual form of an IPv6 address that holds a blocked IPv4 address', () => {
        const egress = egressWith();
        fc.assert(
            fc.property(disguised, (text) => {
                expect(verdict(egress, `https://[${text}]/`)).toBe('address');
            }),
            { numRuns: 2000 },
        );
    });

    it('blocks a name that resolves to one of them, whatever else it resolves to', async () => {
        await fc.assert(
            fc.asyncProperty(disguised, fc.constantFrom([], ['8.8.8.8'], ['2606:4700::1', '1.1.1.1']), async (text, others) => {
                const egress = egressWith([], () => Promise.resolve([...others, text]));
                await expect(egress.request({ url: 'https://rebind.example/' })).rejects.toMatchObject({
                    code: 'blocked_by_policy',
                    host: 'rebind.example',
                    neverSent: true,
                });
                await egress.close();
            }),
            { numRuns: 100 },
        );
    });
});

describe('names and URLs', () => {
    it.each([
        ['https://localhost/', 'name'],
        ['https://LOCALHOST./', 'name'],
        ['https://localhost../', 'name'],
        ['https://a.b.localhost/', 'name'],
        ['https://l%6fcalhost/', 'name'],
        ['https://metadata/', 'name'],
        ['https://Metadata.Google.Internal/computeMetadata/v1/', 'name'],
        ['https://metadata.google.internal./', 'name'],
        ['https://metadata.goog/', 'name'],
        ['https://instance-data.ec2.internal/', 'name'],
        ['http://api.example.com/', 'plain_http'],
        ['http://8.8.8.8/', 'plain_http'],
        ['https://user@api.example.com/', 'userinfo'],
        ['https://:pass@api.example.com/', 'userinfo'],
        ['ftp://api.example.com/', 'scheme'],
        ['file:///etc/passwd', 'invalid_url'],
        ['file://host.example/etc/passwd', 'scheme'],
        ['data:text/plain,x', 'invalid_url'],
        ['ws://api.example.com/', 'scheme'],
        ['api.example.com', 'invalid_url'],
        ['https://', 'invalid_url'],
        ['https://./', 'invalid_url'],
        ['https://[::1', 'invalid_url'],
        ['https://[fe80::1%25eth0]/', 'invalid_url'],
        ['https://exa mple.com/', 'invalid_url'],
        ['https://api.example.com:65536/', 'invalid_url'],
        ['https://api.example.com\\@127.0.0.1/', 'open'], // the backslash ends the host: it is api.example.com that is called
        ['https://api.example.com:8443/x?y#z', 'open'],
        ['https://vault.corp.internal/', 'open'], // decided by the address when it is called
    ])('%s: %s', (url, expected) => {
        expect(verdict(egressWith(), url)).toBe(expected);
    });

    it('says host, code and reason, and nothing else of the URL', () => {
        const secret = 'hunter2';
        const inPath = `http://api.example.com/${secret}?k=${secret}#${secret}`;
        for (const url of [inPath, `https://${secret}:${secret}@api.example.com/`, `:${secret}`]) {
            const error = (() => {
                try {
                    egressWith().assertUrl(url);
                } catch (thrown) {
                    return thrown as EgressError;
                }
                throw new Error('not refused');
            })();
            expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain(secret);
        }
    });
});

describe('when a connection is made', () => {
    it.each(['10.0.0.1', '::1', '::ffff:10.0.0.1', 'localhost', 'metadata.google.internal'])(
        '%s is judged again, whoever judged the URL',
        async (host) => {
            const policy = createPolicy(parseAllowList([]), () => Promise.resolve(['8.8.8.8']));
            await expect(policy.addressesOf(host, 443)).rejects.toMatchObject({ code: 'blocked_by_policy', neverSent: true });
        },
    );
});

describe('VALETKEY_EGRESS_ALLOW', () => {
    it.each([
        // entry, URL, verdict
        ['127.0.0.0/8', 'http://127.0.0.1:8080/', 'open'],
        ['127.0.0.0/8', 'http://127.9.9.9/', 'open'],
        ['127.0.0.0/8', 'http://[::ffff:127.0.0.1]/', 'open'],
        ['127.0.0.0/8', 'http://localhost/', 'open'],
        ['127.0.0.0/8', 'http://app.localhost./', 'open'],
        ['127.0.0.0/8', 'http://[::1]/', 'address'],
        ['127.0.0.0/8', 'http://[::127.0.0.1]/', 'address'],
        ['127.0.0.0/8', 'http://api.example.com/', 'plain_http'],
        ['127.0.0.0/8', 'https://10.0.0.1/', 'address'],
        ['127.0.0.0/8', 'ftp://127.0.0.1/', 'scheme'],
        ['127.0.0.0/8', 'http://user@127.0.0.1/', 'userinfo'],
        ['127.0.0.2', 'http://localhost/', 'name'],
        ['::1', 'http://localhost/', 'open'],
        ['::1', 'http://[::1]:3000/', 'open'],
        ['localhost', 'http://LocalHost:3000/', 'open'],
        ['localhost', 'http://127.0.0.1/', 'address'],
        ['localhost', 'http://a.localhost/', 'name'],
        ['LOCALHOST:3000', 'http://localhost:3000/', 'open'],
        ['localhost:3000', 'http://localhost:3001/', 'name'],
        ['127.0.0.1:80', 'http://127.0.0.1/', 'open'],
        ['127.0.0.1:80', 'https://127.0.0.1/', 'address'],
        ['127.0.0.1:80', 'http://localhost/', 'open'],
        ['10.0.0.0/8:8443', 'https://10.1.2.3:8443/', 'open'],
        ['10.0.0.0/8:8443', 'https://10.1.2.3/', 'address'],
        ['fd00::/8', 'https://[fd12::1]/', 'open'],
        ['fd00::/8', 'https://[fc00::1]/', 'address'],
        ['[fd00::/8]:443', 'https://[fd12::1]/', 'open'],
        ['[::1]:9000', 'http://[::1]:9000/', 'open'],
        ['[::1]:9000', 'http://[::1]/', 'address'],
        ['64:ff9b::/96', 'https://[64:ff9b::808:808]/', 'open'],
        ['::ffff:10.0.0.1', 'https://10.0.0.1/', 'open'],
        ['internal.example', 'http://INTERNAL.example./', 'open'],
        ['internal.example', 'http://a.internal.example/', 'plain_http'],
        ['.internal.example', 'http://a.b.internal.example/', 'open'],
        ['.internal.example', 'http://internal.example/', 'plain_http'],
        ['.internal.example', 'http://evilinternal.example/', 'plain_http'],
        ['.internal', 'http://metadata.google.internal/', 'name'],
        ['metadata.google.internal', 'http://metadata.google.internal/', 'open'],
        ['bücher.example', 'http://xn--bcher-kva.example/', 'open'],
        ['my_app:3000', 'http://my_app:3000/hooks', 'open'],
    ])('%s: %s is %s', (entry, url, expected) => {
        expect(verdict(egressWith([entry]), url)).toBe(expected);
    });

    it.each([
        '',
        ' ',
        '*',
        '*.example.com',
        'http://127.0.0.1',
        'example.com/path',
        'user@example.com',
        'a b',
        'a..b',
        '..example.com',
        'example.com.',
        '10.0.0.0/33',
        '10/8',
        '127.1',
        '0x7f.1',
        '2130706433',
        'fd00::/129',
        '::ffff:10.0.0.0/104',
        'host:0',
        'host:65536',
        'host:port',
        '[::1',
        '[example.com]:80',
    ])('refuses the entry "%s" at construction', (entry) => {
        expect(() => egressWith(['127.0.0.0/8', entry])).toThrow(EgressAllowError);
        expect(() => egressWith([entry])).toThrow(`VALETKEY_EGRESS_ALLOW: "${entry}" is not`);
    });

    it('isOpened tells where plain http may be used', () => {
        const egress = egressWith(['127.0.0.0/8', 'internal.example:8080', '.corp.example']);
        const opened = ['127.0.0.1', '127.1', '::ffff:127.0.0.1', 'localhost', 'Localhost.', 'INTERNAL.EXAMPLE.', 'a.corp.example'];
        const closed = ['8.8.8.8', 'example.com', 'corp.example', '10.0.0.1', '::1', '[::1]', 'metadata.google.internal', '', 'a b'];
        expect(opened.filter((host) => !egress.isOpened(host))).toEqual([]);
        expect(closed.filter((host) => egress.isOpened(host))).toEqual([]);
    });
});
