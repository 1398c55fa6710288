/** When a connection is looked at again, and what is foreseen of the end of its grant (R12, R16, webhooks §8.2 `expiring`). */
import { describe, expect, test } from 'vitest';
import type { Credentials } from '../../src/credentials/credential.ts';
import { refreshTokenExpiry } from '../../src/credentials/refresh-token-expiry.ts';
import { scheduleOf, type Foreseen } from '../../src/credentials/renewal-schedule.ts';
import { virtualSources, withFraction } from '../virtual-sources.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 5, 1);

describe('the end of a refresh token, under its vendors’ names', () => {
    test.each<[string, unknown, number | null]>([
        ['Google, GitHub, LinkedIn, Microsoft', { refresh_token: 'r', refresh_token_expires_in: 604_799 }, 604_799 * second],
        ['as text', { refresh_token_expires_in: '5184000' }, 60 * day],
        ['QuickBooks', { refresh_token: 'r', x_refresh_token_expires_in: 8_726_400 }, 101 * day],
        ['Keycloak', { refresh_token: 'r', refresh_expires_in: 1800 }, 30 * minute],
        ['Keycloak, offline: no end', { refresh_token: 'r', refresh_expires_in: 0 }, null],
        ['Clover: a date', { refresh_token_expiration: (now + 8 * day) / 1000 }, 8 * day],
        ['a date in words', { refresh_token_expires_at: '2026-06-11T00:00:00Z' }, 10 * day],
        ['seconds under the name of a date', { refreshTokenExpiration: 86_400 }, day],
        ['camel case', { refreshTokenExpiresIn: 3600 }, hour],
        ['wrapped', { data: { refresh_token: 'r', refresh_expires_in: 3600 } }, hour],
        ['beside a token of another grant', { refresh_token: 'r', authed_user: { refresh_token: 's', refresh_token_expires_in: 3600 } }, null],
        ['nothing of the kind', { expires_in: 3600, refresh_token: 'r' }, null],
        ['nonsense', { refresh_token_expires_in: 'soon' }, null],
        ['negative', { refresh_token_expires_in: -1 }, null],
        ['a century', { refresh_token_expires_in: 3_155_760_000 }, null],
        ['no object', 'r', null],
        ['nothing', undefined, null],
    ])('%s', (_, answer, end) => {
        expect(refreshTokenExpiry(answer, now)).toBe(end === null ? null : now + end);
    });
});

describe('a schedule', () => {
    const sources = { ...withFraction(virtualSources(), 0.5), now: () => now };
    const renewable = { canRenew: () => true };
    const oauth2 = (raw: Record<string, unknown>, refreshToken: string | null = 'r'): Credentials => ({
        type: 'OAUTH2',
        access_token: 'a',
        ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
        raw,
    });
    const inSeconds = (ms: number) => ({ refresh_token_expires_in: ms / second });
    const schedule = (
        credentials: Credentials,
        life: number | null,
        before?: Partial<Foreseen>,
        strategy: typeof renewable | undefined = renewable,
    ) => {
        const { nextAt, refreshTokenExpiresAt, noticeAt } = scheduleOf(
            { credentials, obtainedAt: now, expiresAt: life === null ? null : now + life },
            strategy,
            sources,
            before && { refreshToken: 'r', obtainedAt: now - 2 * hour, refreshTokenExpiresAt: null, noticeAt: null, ...before },
        );
        const from = (at: number | null): number | null => (at === null ? null : at - now);
        return { next: from(nextAt), end: from(refreshTokenExpiresAt), notice: from(noticeAt) };
    };

    test('of an end that nobody names: none', () => {
        expect(schedule(oauth2({}), hour)).toEqual({ next: 45 * minute, end: null, notice: null });
    });

    test('notice a week ahead, in the last quarter of shorter lives, and not of what lives less than a day', () => {
        expect(schedule(oauth2(inSeconds(100 * day)), hour)).toEqual({ next: 45 * minute, end: 100 * day, notice: 93 * day });
        expect(schedule(oauth2(inSeconds(8 * day)), hour)).toMatchObject({ notice: 6 * day });
        expect(schedule(oauth2(inSeconds(day - second)), hour)).toMatchObject({ end: day - second, notice: null });
    });

    test('the refresh token is used before it lapses, though the access token lives on', () => {
        expect(schedule(oauth2(inSeconds(4 * day)), 60 * day)).toMatchObject({ next: 2 * day });
        expect(schedule(oauth2(inSeconds(30 * minute)), hour)).toMatchObject({ next: 15 * minute });
        expect(schedule(oauth2(inSeconds(60 * day)), 60 * day)).toMatchObject({ next: 7 * day });
    });

    test('a renewal that moves the end moves the notice, and the next use', () => {
        const before = { refreshTokenExpiresAt: now - 2 * hour + 4 * day, noticeAt: now - 2 * hour + 3 * day };
        expect(schedule(oauth2(inSeconds(4 * day), 'new'), 60 * day, before)).toEqual({ next: 2 * day, end: 4 * day, notice: 3 * day });
    });

    test('one that does not leaves the notice where it is, and is not repeated because of it', () => {
        const before = { refreshTokenExpiresAt: now + 4 * day, noticeAt: now + 3 * day };
        // as the provider says it, a second off
        expect(schedule(oauth2(inSeconds(4 * day + second), 'new'), 60 * day, before)).toEqual({
            next: 3 * day,
            end: 4 * day + second,
            notice: 3 * day,
        });
        // and once it was told
        expect(schedule(oauth2(inSeconds(4 * day), 'new'), 60 * day, { ...before, noticeAt: null })).toEqual({
            next: 7 * day,
            end: 4 * day,
            notice: null,
        });
    });

    test('a notice that is due does not bring the connection back at once: whoever asked tells it', () => {
        const before = { refreshTokenExpiresAt: now + 2 * day, noticeAt: now };
        expect(schedule(oauth2(inSeconds(2 * day)), hour, before)).toEqual({ next: 45 * minute, end: 2 * day, notice: 0 });
    });

    test('an answer that says nothing keeps the end of the token that stays, and forgets that of one that was replaced', () => {
        const before = { refreshTokenExpiresAt: now + 4 * day, noticeAt: now + 3 * day };
        expect(schedule(oauth2({}), hour, before)).toEqual({ next: 45 * minute, end: 4 * day, notice: 3 * day });
        expect(schedule(oauth2({}, 'new'), hour, before)).toEqual({ next: 45 * minute, end: null, notice: null });
    });

    test('an end that is named for the first time counts from then', () => {
        expect(schedule(oauth2(inSeconds(100 * day)), hour, {})).toMatchObject({ notice: 93 * day });
    });

    test('of what cannot be renewed: its own end; of what is bought anew: none', () => {
        const dead = { canRenew: () => false };
        expect(schedule(oauth2({}, null), 60 * day, undefined, dead)).toEqual({ next: 53 * day, end: null, notice: 53 * day });
        expect(schedule(oauth2({}, null), hour, undefined, dead)).toEqual({ next: hour, end: null, notice: null });
        expect(schedule({ type: 'OAUTH1', oauth_token: 't', oauth_token_secret: 's', raw: {} }, null, undefined, dead)).toMatchObject({ next: null });
        expect(schedule(oauth2(inSeconds(4 * day), null), 60 * day)).toMatchObject({ end: null, notice: null });
        // a login is made again when its refresh token is over; one that was typed in is all there is
        const login = { type: 'TWO_STEP', token: 't', raw: inSeconds(4 * day) } as const;
        expect(schedule({ ...login, refresh_token: 'r', user: 'u' }, hour)).toMatchObject({ end: null, notice: null });
        expect(schedule({ ...login, refreshToken: 'r' }, hour)).toMatchObject({ end: 4 * day, notice: 3 * day });
    });
});
