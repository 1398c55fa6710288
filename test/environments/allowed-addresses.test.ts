/** Which addresses a key may be used from (settings S2). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalRange, isAllowedAddress, plainAddress } from '../../src/environments/allowed-addresses.ts';
import '../property-seed.ts';

describe('a range is stored in one form', () => {
    test.each([
        ['10.0.0.0/8', '10.0.0.0/8'],
        ['192.0.2.7', '192.0.2.7/32'],
        ['0.0.0.0/0', '0.0.0.0/0'],
        ['2001:DB8::/32', '2001:db8::/32'],
        ['::1', '::1/128'],
        ['::ffff:192.0.2.7', '192.0.2.7/32'],
    ])('%s', (text, stored) => {
        expect(canonicalRange(text)).toBe(stored);
        expect(canonicalRange(stored)).toBe(stored);
    });

    // ipaddr.js itself reads some of these as addresses
    test.each([
        '',
        '10/8',
        '10',
        '0x7f.1',
        '10.0.0.0/33',
        '10.0.0.0/-1',
        '2001:db8::/129',
        'fe80::1%eth0',
        'example.com',
        '10.0.0.0/8,10.1.0.0/16',
        ' ',
    ])('"%s" is none', (text) => {
        expect(canonicalRange(text)).toBeUndefined();
    });
});

describe('an address', () => {
    test.each<[string | undefined, string[], boolean]>([
        ['10.1.2.3', ['10.0.0.0/8'], true],
        ['11.1.2.3', ['10.0.0.0/8'], false],
        ['11.1.2.3', ['10.0.0.0/8', '11.1.2.3/32'], true],
        ['::ffff:10.1.2.3', ['10.0.0.0/8'], true],
        ['::ffff:10.1.2.3', ['::/0'], false],
        ['2001:db8::7', ['2001:db8::/32'], true],
        ['2001:db9::7', ['2001:db8::/32'], false],
        ['10.1.2.3', ['::/0'], false],
        ['10.1.2.3', [], false],
        // the socket of a caller who has hung up
        [undefined, ['0.0.0.0/0', '::/0'], false],
        ['unknown', ['0.0.0.0/0', '::/0'], false],
    ])('%s of %j: %s', (address, allowed, isAllowed) => {
        expect(isAllowedAddress(allowed, address)).toBe(isAllowed);
    });

    test('is in a range exactly when its first bits are those of the range', () => {
        const octet = fc.integer({ min: 0, max: 255 });
        const ipv4 = fc.tuple(octet, octet, octet, octet);
        fc.assert(
            fc.property(ipv4, ipv4, fc.integer({ min: 0, max: 32 }), (network, address, bits) => {
                const prefix = (parts: number[]): string =>
                    parts
                        .map((part) => part.toString(2).padStart(8, '0'))
                        .join('')
                        .slice(0, bits);
                const range = canonicalRange(`${network.join('.')}/${bits}`)!;
                expect(isAllowedAddress([range], address.join('.'))).toBe(prefix(network) === prefix(address));
            }),
        );
    });

    test('is shown as people know it', () => {
        expect([plainAddress('::ffff:192.0.2.7'), plainAddress('2001:db8:0:0::1'), plainAddress(undefined), plainAddress('x')]).toEqual([
            '192.0.2.7',
            '2001:db8::1',
            null,
            null,
        ]);
    });
});
