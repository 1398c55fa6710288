import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readXml, writeXml } from '../../../src/auth-modes/two-step/xml.ts';

describe('writeXml', () => {
    test('members are elements, `$` members attributes, lists repeat, empty ones stay', () => {
        const tree = {
            request: {
                control: { uniqueid: false, dtdversion: '3.0', retries: 2 },
                content: { function: { $controlid: 'c-1', getAPISession: '' } },
                item: ['a', { $n: 1, b: 'c' }],
                nothing: null,
            },
        };
        expect(writeXml(tree)).toBe(
            '<?xml version="1.0" encoding="UTF-8"?><request><control><uniqueid>false</uniqueid><dtdversion>3.0</dtdversion><retries>2</retries></control>' +
                '<content><function controlid="c-1"><getAPISession></getAPISession></function></content><item>a</item><item n="1"><b>c</b></item>' +
                '<nothing></nothing></request>',
        );
    });

    test('what was typed in cannot leave its element or attribute', () => {
        const hostile = `</a><admin x='1'/>&amp;]]>"\n`;
        const written = writeXml({ a: { $b: hostile, c: hostile } });
        expect(written.match(/<\w+/g)).toEqual(['<a', '<c']);
        expect(readXml(written)).toEqual({ a: { $b: hostile, c: hostile.trim() } });
    });
});

describe('readXml', () => {
    test('an answer as an object that paths lead into', () => {
        const answer = `<?xml version="1.0" encoding="UTF-8"?>
            <!-- a gateway -->
            <response>
              <operation>
                <authentication><status>success</status><sessiontimeout>2026-01-01T12:00:00+00:00</sessiontimeout></authentication>
                <result count="1"><data listtype="api"><api><sessionid a="b"><![CDATA[s&1]]></sessionid></api></data></result>
                <error><errorno>1</errorno></error><error><errorno>2</errorno></error>
              </operation>
            </response>`;
        expect(readXml(answer)).toEqual({
            response: {
                operation: {
                    authentication: { status: 'success', sessiontimeout: '2026-01-01T12:00:00+00:00' },
                    result: { $count: '1', data: { $listtype: 'api', api: { sessionid: 's&1' } } },
                    error: [{ errorno: '1' }, { errorno: '2' }],
                },
            },
        });
        expect(readXml('<s:Envelope xmlns:s="urn:x"><s:token>&lt;t&#62;</s:token></s:Envelope>')).toMatchObject({ Envelope: { token: '<t>' } });
    });

    test.each([
        ['a DTD', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
        ['an external entity', '<?xml version="1.0"?><!doctype a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'],
        ['an open element', '<a><b></a>'],
        ['no document', 'token'],
        ['nothing', ''],
        ['depth without end', `${'<a>'.repeat(5000)}x${'</a>'.repeat(5000)}`],
    ])('%s is not an answer', (_name, text) => {
        expect(readXml(text)).toBeUndefined();
    });

    test('no text makes it throw', () => {
        const piece = fc.constantFrom('<', '>', '/', 'a', '"', '=', '&', ';', '<a>', '</a>', '<![CDATA[', ']]>', '<?', '?>', '<!--', '-->', ' ', ':');
        fc.assert(
            fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
                const read = readXml(pieces.join(''));
                return read === undefined || typeof read === 'object';
            }),
        );
    });

    test('what is written is read again', () => {
        const name = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/).filter((text) => text !== 'xmlns');
        const text = fc.string().map((value) => value.replaceAll(/[^\u0020-\ud7ff]/g, '').trim());
        const leaves = fc.dictionary(name, text, { minKeys: 1, noNullPrototype: true });
        fc.assert(
            fc.property(fc.dictionary(name, leaves, { minKeys: 1, noNullPrototype: true }), (tree) => {
                expect(readXml(writeXml({ root: tree }))).toEqual({ root: tree });
            }),
        );
    });
});
