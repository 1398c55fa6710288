import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoff, classify, safeText, TokenFailure, type FailureKind } from '../../src/credentials/token-failure.ts';
import { systemSources } from '../../src/sources.ts';
import { withFraction } from '../virtual-sources.ts';

const second = 1000;
const hour = 3600 * second;

describe('what an answer means (R5)', () => {
    test.each<[number, string | undefined, FailureKind]>([
        // RFC 6749 §5.2
        [400, 'invalid_grant', 'permanent'],
        [401, 'invalid_client', 'permanent'],
        [400, 'unauthorized_client', 'permanent'],
        [400, 'unsupported_grant_type', 'permanent'],
        [400, 'INVALID_GRANT', 'permanent'],
        // the code decides, whatever status a provider dresses it in
        [200, 'bad_refresh_token', 'permanent'],
        [200, 'token_revoked', 'permanent'],
        [500, 'invalid_grant', 'permanent'],
        [408, undefined, 'transient'],
        [425, undefined, 'transient'],
        [429, undefined, 'transient'],
        [429, 'something', 'transient'],
        [500, undefined, 'transient'],
        [503, 'something', 'transient'],
        [599, undefined, 'transient'],
        [200, 'ratelimited', 'transient'],
        [400, 'temporarily_unavailable', 'transient'],
        [400, 'server_error', 'transient'],
        [400, 'slow_down', 'transient'],
        [400, 'invalid_request', 'unknown'],
        [400, 'invalid_scope', 'unknown'],
        [400, undefined, 'unknown'],
        [403, undefined, 'unknown'],
        [404, 'not_found', 'unknown'],
        [302, undefined, 'unknown'],
        [200, undefined, 'unknown'],
    ])('%i %s is %s', (status, code, kind) => {
        expect(classify(status, code)).toBe(kind);
    });
});

describe('when to try again (R5)', () => {
    const spread = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const attempts = fc.integer({ min: 1, max: 10_000 });
    const failure = (kind: FailureKind, retryAfterMs?: number): TokenFailure => new TokenFailure(kind, 'd', { retryAfterMs });
    const wait = (kind: FailureKind, attempt: number, fraction = 0.5, retryAfterMs?: number): number | null =>
        backoff(failure(kind, retryAfterMs), attempt, withFraction(systemSources, fraction));

    test('permanent: never', () => {
        fc.assert(fc.property(attempts, spread, (attempt, fraction) => wait('permanent', attempt, fraction, 5) === null));
    });

    test('transient: always, between 30 s and 6 h, whatever happened before', () => {
        fc.assert(
            fc.property(attempts, spread, (attempt, fraction) => {
                const ms = wait('transient', attempt, fraction)!;
                expect(ms).toBeGreaterThanOrEqual(30 * second);
                expect(ms).toBeLessThanOrEqual(Math.min(6 * hour, 30 * second * 2 ** (attempt - 1)));
            }),
        );
    });

    test('transient: the range doubles up to 6 h, and its whole width is used', () => {
        const widest = 1 - 2 ** -32;
        expect([1, 2, 3, 4].map((attempt) => Math.round(wait('transient', attempt, widest)! / second))).toEqual([30, 60, 120, 240]);
        expect(wait('transient', 11, widest)).toBeCloseTo(6 * hour, -1);
        expect(wait('transient', 5000, widest)).toBeCloseTo(6 * hour, -1);
        expect([1, 2, 20].map((attempt) => wait('transient', attempt, 0))).toEqual([30 * second, 30 * second, 30 * second]);
    });

    test('Retry-After is never undercut', () => {
        const kinds = fc.constantFrom<FailureKind>('transient', 'unknown');
        fc.assert(
            fc.property(kinds, attempts, spread, fc.integer({ min: 0, max: 24 * hour }), (kind, attempt, fraction, retryAfter) => {
                const ms = wait(kind, attempt, fraction, retryAfter);
                expect(ms === null || ms >= retryAfter).toBe(true);
                expect(ms === null).toBe(kind === 'unknown' && attempt >= 5);
            }),
        );
        expect(wait('transient', 1, 0.5, 7 * hour)).toBe(7 * hour);
    });

    test('unknown: five attempts over at least a day, then no more', () => {
        const waits = [1, 2, 3, 4].map((attempt) => wait('unknown', attempt)!);
        expect(waits.reduce((sum, ms) => sum + ms)).toBeGreaterThanOrEqual(24 * hour);
        fc.assert(fc.property(fc.integer({ min: 5, max: 1000 }), (attempt) => wait('unknown', attempt) === null));
    });
});

describe('TokenFailure', () => {
    test('carries a stable type, and says nothing it was not told', () => {
        const failure = new TokenFailure('transient', 'the provider is away');
        expect(failure).toMatchObject({
            kind: 'transient',
            message: 'the provider is away',
            type: 'refresh_token_external_error',
            retryAfterMs: undefined,
            isAmbiguous: false,
        });
        expect(new TokenFailure('unknown', 'd', { type: 't', retryAfterMs: 5, isAmbiguous: true })).toMatchObject({
            type: 't',
            retryAfterMs: 5,
            isAmbiguous: true,
        });
    });
});

describe('provider text made safe (E5)', () => {
    test.each([
        ['one line, single spaces', 'a\r\n\tb   c ', [], 'a b c'],
        ['every occurrence', 'tok-123 and tok-123', ['tok-123'], '[redacted] and [redacted]'],
        ['several secrets', 'id tok-1 and key-2', ['tok-1', 'key-2'], 'id [redacted] and [redacted]'],
        ['a secret that begins with another one', 'got abcdefgh', ['abcd', 'abcdefgh'], 'got [redacted]'],
        ['words shorter than four characters stay', 'an error', ['an', 'err'], 'an error'],
        ['characters that mean something elsewhere', 'a.*b$& and axxb', ['a.*b$&'], '[redacted] and axxb'],
    ])('%s', (_, text, secrets, expected) => {
        expect(safeText(text, secrets)).toBe(expected);
    });

    test('is at most 300 characters, cut after redaction so that no piece of a secret is left at the end', () => {
        const secret = 'S'.repeat(40);
        const text = safeText(`${'x'.repeat(280)}${secret}`, [secret]);
        expect(text).toBe(`${'x'.repeat(280)}[redacted]`);
        expect(safeText('y'.repeat(1000), [])).toHaveLength(300);
    });

    test('never holds a known secret, wherever it stood', () => {
        const secret = fc.stringMatching(/^[A-Z0-9]{4,30}$/);
        fc.assert(
            fc.property(fc.array(secret, { maxLength: 5 }), fc.array(fc.constantFrom(0, 1, 2, 3, 4, 'said', ' ', '\n', '"')), (secrets, parts) => {
                const safe = safeText(parts.map((part) => (typeof part === 'number' ? (secrets[part] ?? '') : part)).join(''), secrets);
                secrets.forEach((known) => expect(safe).not.toContain(known));
            }),
        );
    });
});
