import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
    earliestOf,
    effectiveMargin,
    endsAt,
    firstKnown,
    isServable,
    keepAliveInterval,
    lifetimeOf,
    nextRefreshAt,
    parseExpiresAt,
    parseExpiresIn,
    parseLifetime,
    readExpiry,
    withoutEnd,
} from '../../src/credentials/expiry.ts';
import { systemSources } from '../../src/sources.ts';
import { withFraction } from '../virtual-sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365.25 * day;
const now = Date.UTC(2026, 5, 1);

describe('lifetimes of two-step logins (§15.3, §20.1)', () => {
    test.each<[unknown, number | null]>([
        [3600, hour],
        ['3600', hour],
        ['2h', 2 * hour],
        ['1 day', day],
        ['30 minutes', 30 * minute],
        ['45 Mins', 45 * minute],
        ['90s', 90 * second],
        ['1.5 h', 1.5 * hour],
        ['2 weeks', 14 * day],
        ['3600.5', 3_600_500],
        [0, 0],
        [-5, 0],
        ['soon', null],
        ['5 fortnights', null],
        ['', null],
        [null, null],
        ['9999999 weeks', null],
        ['1 constructor', null],
    ])('%j', (value, expected) => {
        expect(parseLifetime(value, now)).toBe(expected === null ? null : now + expected);
    });
});

describe('expires_at (R16)', () => {
    const inAnHour = now + hour;

    test.each<[string, unknown, number | null]>([
        ['seconds', inAnHour / 1000, inAnHour],
        ['milliseconds', inAnHour, inAnHour],
        ['seconds as text', `${inAnHour / 1000}`, inAnHour],
        ['milliseconds as text', `${inAnHour}`, inAnHour],
        ['fractional seconds', inAnHour / 1000 + 0.25, inAnHour + 250],
        ['fractional seconds as text', ` ${inAnHour / 1000}.25 `, inAnHour + 250],
        ['ISO 8601 in UTC', '2026-06-01T01:00:00Z', inAnHour],
        ['ISO 8601 with an offset', '2026-06-01T03:00:00.000+02:00', inAnHour],
        ['an HTTP date', 'Mon, 01 Jun 2026 01:00:00 GMT', inAnHour],
        ['a Date', new Date(inAnHour), inAnHour],
        ['days, hours and minutes from now (§20.1)', '177:05:38', now + 177 * day + 5 * hour + 38 * minute],
        ['a moment ago', now / 1000 - 60, now - minute],
        ['the text "3600", not the year 3600', '3600', null],
        ['milliseconds taken for seconds', inAnHour * 1000, null],
        ['1700000000, two and a half years ago', 1_700_000_000, null],
        ['63072000000, which no reading makes plausible', 63_072_000_000, null],
        ['an hour and more ago', now - hour, null],
        ['twenty years ahead', now + 20 * year, null],
        ['zero', 0, null],
        ['a negative number', -5, null],
        ['NaN', Number.NaN, null],
        ['infinity', Number.POSITIVE_INFINITY, null],
        ['no time of day', '1:24:00', null],
        ['empty text', '', null],
        ['words', 'never', null],
        ['an invalid Date', new Date('x'), null],
        ['nothing', undefined, null],
        ['null', null, null],
        ['a boolean', true, null],
        ['an object', {}, null],
    ])('%s', (_, value, expected) => {
        expect(parseExpiresAt(value, now)).toBe(expected);
    });

    test('a date without a zone is UTC wherever this runs', () => {
        const zone = process.env['TZ'];
        process.env['TZ'] = 'America/New_York';
        try {
            expect(new Date(now).getTimezoneOffset()).toBe(240);
            expect(parseExpiresAt('2026-06-01T01:00:00', now)).toBe(inAnHour);
            expect(parseExpiresAt('2026-06-01 01:00:00.500', now)).toBe(inAnHour + 500);
            expect(parseExpiresAt('2026-06-01 01:00', now)).toBe(inAnHour);
        } finally {
            if (zone === undefined) {
                delete process.env['TZ'];
            } else {
                process.env['TZ'] = zone;
            }
        }
    });

    test('any spelling of a plausible moment is read as that moment', () => {
        fc.assert(
            fc.property(fc.integer({ min: now - 59 * minute, max: now + 19 * year }), (instant) => {
                const wholeSecond = Math.floor(instant / 1000) * 1000;
                expect(parseExpiresAt(instant, now)).toBe(instant);
                expect(parseExpiresAt(`${instant}`, now)).toBe(instant);
                expect(parseExpiresAt(wholeSecond / 1000, now)).toBe(wholeSecond);
                expect(parseExpiresAt(`${wholeSecond / 1000}`, now)).toBe(wholeSecond);
                expect(parseExpiresAt(new Date(instant).toISOString(), now)).toBe(instant);
            }),
        );
    });

    test('whatever comes, the answer is unknown or plausible', () => {
        fc.assert(
            fc.property(fc.oneof(fc.double(), fc.string(), fc.date(), fc.anything()), (value) => {
                const instant = parseExpiresAt(value, now);
                expect(instant === null || (instant > now - hour && instant < now + 20 * year)).toBe(true);
            }),
        );
    });
});

describe('expires_in (R11, R16)', () => {
    test.each<[unknown, number | null]>([
        [3600, now + hour],
        ['3600', now + hour],
        [' 3600.5 ', now + hour + 500],
        [0, now],
        ['0', now],
        [-10, now],
        ['-10', now],
        ['2h', null],
        ['', null],
        [Number.NaN, null],
        [Number.POSITIVE_INFINITY, null],
        [null, null],
        [undefined, null],
        [true, null],
        [{}, null],
        [20 * 366 * 86_400, null],
    ])('%j', (value, expected) => {
        expect(parseExpiresIn(value, now)).toBe(expected);
    });
});

describe('what an answer says of the end of its token (R16)', () => {
    const exp = (now + 2 * hour) / second;

    test.each([
        [{ expires_at: now + hour, expires_in: 60, exp }, now + hour, 'expires_at'],
        [{ expires_at: null, expires_in: '1 day', exp }, now + day, 'expires_in'],
        [{ expires_at: '3600', expires_in: 60 }, now + minute, 'expires_in'],
        [{ expires_in: 0, exp }, now, 'expires_in'],
        [{ exp }, now + 2 * hour, 'token'],
        [{ expires_at: '', expires_in: undefined }, null, null],
    ])('%j', (said, expiresAt, expiresAtSource) => {
        expect(readExpiry(said, now)).toEqual({ expiresAt, expiresAtSource });
    });

    test.each([{ expires_at: now - 2 * hour }, { expires_in: 21 * year }, { exp: now + 21 * year }, { expires_at: 'noon' }])(
        '%j cannot be: unknown, and said to be so without its value',
        (said) => {
            const { notes, ...end } = readExpiry(said, now);
            expect([end, notes?.length]).toEqual([withoutEnd, 1]);
            expect(notes!.join()).not.toContain(String(Object.values(said)[0]));
        },
    );

    test('of several, the first or the earliest that is known; what was left out is said still, once', () => {
        const wrong = readExpiry({ expires_in: 'soon' }, now);
        const [sooner, later] = [endsAt(now + 1, 'entry'), endsAt(now + 2, 'assumed')];
        expect(firstKnown(withoutEnd, later, sooner)).toEqual(later);
        expect(earliestOf(later, withoutEnd, sooner)).toEqual(sooner);
        expect(firstKnown(wrong, wrong, later)).toEqual({ ...later, notes: wrong.notes });
        expect(earliestOf(wrong, withoutEnd)).toEqual(wrong);
    });
});

describe('the margin (R8)', () => {
    const margin = (lifetimeSeconds: number, configured?: number): number =>
        effectiveMargin({ obtainedAt: now, expiresAt: now + lifetimeSeconds * second }, configured) / second;

    test.each([
        ['an hour: the default', 3600, undefined, 900],
        ['a day: the default', 86_400, undefined, 900],
        ['half an hour: a quarter', 1800, undefined, 450],
        ['five minutes: a quarter', 300, undefined, 75],
        ['two minutes: the floor', 120, undefined, 30],
        ['one minute: the floor', 60, undefined, 30],
        ['forty seconds: half', 40, undefined, 20],
        ['no life at all', 0, undefined, 0],
        ['dead on arrival', -5, undefined, 0],
        ['configured less', 3600, 60, 60],
        ['configured more than a quarter', 3600, 1200, 900],
        ['configured within a quarter of a day', 86_400, 1800, 1800],
        ['configured below the floor', 3600, 5, 30],
        ['configured as nothing', 3600, 0, 30],
    ])('%s', (_, lifetime, configured, expected) => {
        expect(margin(lifetime, configured)).toBe(expected);
    });

    test('never more than half of the life, and nothing but that keeps it below 30 s', () => {
        fc.assert(
            fc.property(
                fc.integer({ min: 0, max: 10 ** 8 }),
                fc.option(fc.integer({ min: 0, max: 10 ** 6 }), { nil: undefined }),
                (life, configured) => {
                    const effective = margin(life, configured);
                    expect(effective).toBeLessThanOrEqual(life / 2);
                    expect(effective).toBeGreaterThanOrEqual(Math.min(30, life / 2));
                },
            ),
        );
    });
});

describe('when to look again', () => {
    const at = (
        fraction: number,
        life: { expiresAt: number | null; renewBy?: number },
        renewability: Partial<Parameters<typeof nextRefreshAt>[1]> = {},
    ): number | null =>
        nextRefreshAt(
            { obtainedAt: now, ...life },
            { canRenew: true, hasRefreshToken: false, ...renewability },
            withFraction(systemSources, fraction),
        );

    test('before expiry by the margin, give or take a tenth of it', () => {
        const life = { expiresAt: now + hour };
        expect(at(0.5, life)).toBe(now + hour - 15 * minute);
        expect(at(0, life)).toBe(now + hour - 13.5 * minute);
        expect(at(1 - 2 ** -32, life)).toBeCloseTo(now + hour - 16.5 * minute, 0);
        expect(at(0.5, life, { marginSeconds: 60 })).toBe(now + hour - minute);
    });

    test('no later than something that came with the token demands, and not for it where nothing can be renewed', () => {
        expect(at(0.5, { expiresAt: now + hour, renewBy: now + 5 * minute })).toBe(now + 5 * minute);
        expect(at(0.5, { expiresAt: now + hour, renewBy: now + 2 * hour })).toBe(now + 45 * minute);
        expect(at(0.5, { expiresAt: null, renewBy: now + 5 * minute })).toBe(now + 5 * minute);
        expect(at(0.5, { expiresAt: now + hour, renewBy: now + 5 * minute }, { canRenew: false })).toBe(now + hour);
    });

    test('a token of unknown lifetime is renewed as if it lived as long as its provider’s entry assumes', () => {
        expect(at(0.5, { expiresAt: null }, { assumedLifetimeSeconds: 3600, hasRefreshToken: true })).toBe(now + 45 * minute);
        expect(at(0.5, { expiresAt: now + 2 * hour }, { assumedLifetimeSeconds: 3600 })).toBe(now + 2 * hour - 15 * minute);
    });

    test('after a week at the latest where a refresh token must be kept alive (R12)', () => {
        expect(keepAliveInterval).toBe(7 * day);
        expect(at(0.5, { expiresAt: null }, { hasRefreshToken: true })).toBe(now + 7 * day);
        expect(at(0, { expiresAt: null }, { hasRefreshToken: true })).toBe(now + 6.3 * day);
        expect(at(0.5, { expiresAt: now + 60 * day }, { hasRefreshToken: true })).toBe(now + 7 * day);
        expect(at(0.5, { expiresAt: now + 60 * day })).toBe(now + 60 * day - 15 * minute);
        expect(at(0.5, { expiresAt: now + hour }, { hasRefreshToken: true })).toBe(now + 45 * minute);
    });

    test('sooner where the entry knows of a server that forgets sooner (R12 max_idle), and never because of it without a refresh token', () => {
        const maxIdleSeconds = (3 * day) / 1000;
        expect(at(0.5, { expiresAt: null }, { hasRefreshToken: true, maxIdleSeconds })).toBe(now + 3 * day);
        expect(at(0, { expiresAt: now + 60 * day }, { hasRefreshToken: true, maxIdleSeconds })).toBe(now + 2.7 * day);
        expect(at(0.5, { expiresAt: now + hour }, { hasRefreshToken: true, maxIdleSeconds })).toBe(now + 45 * minute);
        expect(at(0.5, { expiresAt: null }, { maxIdleSeconds })).toBeNull();
    });

    test('never by itself without expiry or refresh token; at expiry where nothing can be renewed (R9)', () => {
        expect(at(0.5, { expiresAt: null })).toBeNull();
        expect(at(0.5, { expiresAt: null }, { canRenew: false, hasRefreshToken: true })).toBeNull();
        expect(at(0, { expiresAt: now + hour }, { canRenew: false })).toBe(now + hour);
    });

    test('always between the middle of the life, less the spread, and its end', () => {
        const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
        fc.assert(
            fc.property(fraction, fc.integer({ min: 0, max: 6 * 86_400 }), fc.boolean(), (spread, lifeSeconds, hasRefreshToken) => {
                const life = lifeSeconds * second;
                const next = at(spread, { expiresAt: now + life }, { hasRefreshToken })!;
                expect(next).toBeGreaterThanOrEqual(now + 0.45 * life - 1);
                expect(next).toBeLessThanOrEqual(now + life);
            }),
        );
    });
});

describe('whether a token may still be handed out (R4)', () => {
    const servable = (lifetimeSeconds: number, leftSeconds: number): boolean =>
        isServable({ obtainedAt: now, expiresAt: now + lifetimeSeconds * second }, now + (lifetimeSeconds - leftSeconds) * second);

    test.each([
        [3600, 31, true],
        [3600, 30, false],
        [3600, 0, false],
        [3600, -1, false],
        [300, 31, true],
        [300, 30, false],
        [60, 7, true],
        [60, 6, false],
        [0, 0, false],
    ])('of %i s of life, %i s are left: %s', (lifetime, left, expected) => {
        expect(servable(lifetime, left)).toBe(expected);
    });

    test('without an expiry, always', () => {
        expect(isServable({ obtainedAt: now, expiresAt: null }, now + 100 * year)).toBe(true);
    });

    test('a token due for renewal in time is still servable', () => {
        fc.assert(
            fc.property(
                fc.integer({ min: 1, max: 10 ** 6 }),
                fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
                (lifeSeconds, spread) => {
                    const life = { obtainedAt: now, expiresAt: now + lifeSeconds * second };
                    const next = nextRefreshAt(life, { canRenew: true, hasRefreshToken: false }, withFraction(systemSources, spread))!;
                    expect(isServable(life, next)).toBe(true);
                },
            ),
        );
    });
});

test('lifetimeOf reads a row', () => {
    const [obtained, expires] = [new Date(now), new Date(now + hour)];
    expect(lifetimeOf({ credentials_obtained_at: obtained, credentials_expires_at: expires })).toEqual({ obtainedAt: now, expiresAt: now + hour });
    expect(lifetimeOf({ credentials_obtained_at: obtained, credentials_expires_at: null })).toEqual({ obtainedAt: now, expiresAt: null });
});
