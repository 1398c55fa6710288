/** The pure parts of MCP discovery: challenges, well-known addresses, whose metadata it is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isMetadataOf, readChallenge } from '../../src/auth-modes/mcp/protected-resource-metadata.ts';
import { insertWellKnown } from '../../src/auth-modes/mcp/well-known.ts';

describe('a challenge', () => {
    test.each([
        ['Bearer', undefined, undefined],
        ['', undefined, undefined],
        ['Basic realm="x", scope="a"', undefined, undefined],
        ['Bearer resource_metadata="https://a.example/m", scope="read write"', 'https://a.example/m', ['read', 'write']],
        ['bearer scope=read', undefined, ['read']],
        ['Basic realm="a, Bearer", Bearer scope="x"', undefined, ['x']],
        ['DPoP algs="ES256", Bearer  resource_metadata = "https://a.example/\\"q"', 'https://a.example/"q', undefined],
        ['Bearer error_scope="no", scope=""', undefined, undefined],
        ['Bearer scope="a  b"', undefined, undefined],
        ['Bearer scope="a\\\\b"', undefined, undefined],
        [`Bearer scope="${'a'.repeat(1001)}"`, undefined, undefined],
    ])('%s', (header, metadataUrl, scopes) => {
        expect(readChallenge(header)).toEqual({ metadataUrl, scopes });
    });

    test('of any text is read in no time', () => {
        fc.assert(
            fc.property(
                fc.string({ maxLength: 20_000, unit: fc.constantFrom('Bearer ', '"', '\\', ',', ' ', 'scope=', 'resource_metadata="', 'a') }),
                (text) => {
                    const { scopes } = readChallenge(text);
                    expect(scopes === undefined || scopes.every((scope) => /^[!#-[\]-~]+$/.test(scope))).toBe(true);
                },
            ),
        );
    });
});

describe('a well-known address', () => {
    test.each([
        ['https://a.example', 'https://a.example/.well-known/n'],
        ['https://a.example/', 'https://a.example/.well-known/n'],
        ['https://a.example:8443/mcp', 'https://a.example:8443/.well-known/n/mcp'],
        ['https://a.example/a/b/', 'https://a.example/.well-known/n/a/b'],
        ['https://a.example/mcp?tenant=1', 'https://a.example/.well-known/n/mcp?tenant=1'],
    ])('%s', (identifier, address) => {
        expect(insertWellKnown(identifier, 'n')).toBe(address);
    });
});

describe('metadata', () => {
    test.each([
        ['https://a.example/mcp', 'https://a.example/mcp', 'https://a.example/mcp', true],
        ['https://A.example:443/mcp', 'https://a.example/mcp', undefined, true],
        ['https://a.example', 'https://a.example/mcp', 'https://a.example', true],
        ['https://a.example/', 'https://a.example/mcp', 'https://a.example', true],
        ['https://a.example/m', 'https://a.example/mcp', 'https://a.example/m', false],
        ['https://a.example/mcp/', 'https://a.example/mcp', 'https://a.example/mcp', false],
        ['https://a.example', 'https://a.example/mcp', 'https://a.example/mcp', false],
        ['https://b.example', 'https://a.example/mcp', 'https://b.example', false],
        ['http://a.example/mcp', 'https://a.example/mcp', 'http://a.example/mcp', false],
        ['https://a.example/mcp?x', 'https://a.example/mcp', 'https://a.example/mcp', false],
        ['nonsense', 'https://a.example/mcp', 'nonsense', false],
    ])('that calls itself %s is that of %s, found for %s: %s', (resource, server, identifier, expected) => {
        expect(isMetadataOf(resource, server, identifier)).toBe(expected);
    });

    test('of another origin is never that of this server', () => {
        fc.assert(
            fc.property(fc.webUrl(), fc.webUrl(), fc.option(fc.webUrl(), { nil: undefined }), (resource, server, identifier) => {
                fc.pre(new URL(resource).origin !== new URL(server).origin);
                expect(isMetadataOf(resource, server, identifier)).toBe(false);
            }),
        );
    });
});
