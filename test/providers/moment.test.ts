import { describe, expect, test } from 'vitest';
import { isMoment, momentText } from '../../src/providers/moment.ts';

const now = Date.UTC(2024, 0, 31, 15, 4, 5, 67);

describe('momentText', () => {
    test.each([
        ['', '2024-01-31T15:04:05.067Z'],
        [':YYYY-MM-DD', '2024-01-31'],
        [':YY/M/D H:m:s', '24/1/31 15:4:5'],
        [':YYYYMMDDTHHmmss[Z]', '20240131T150405Z'],
        [':ddd, DD MMM YYYY HH:mm:ss ZZ', 'Wed, 31 Jan 2024 15:04:05 +0000'],
        [':dddd dd d MMMM', 'Wednesday We 3 January'],
        [':hh:mm A [at] h a Z', '03:04 PM at 3 pm +00:00'],
        [':SSS', '067'],
        [':X', '1706713445'],
        [':x', '1706713445067'],
        ['+7:days:YYYY-MM-DD', '2024-02-07'],
        ['+1:day:YYYY-MM-DD', '2024-02-01'],
        ['-1:hours', '2024-01-31T14:04:05.067Z'],
        ['+1:minutes:X', '1706713505'],
        ['-2:weeks:YYYY-MM-DD', '2024-01-17'],
        ['+1:month:YYYY-MM-DD', '2024-02-29'],
        ['+13:months:YYYY-MM-DD', '2025-02-28'],
        ['-1:years:YYYY-MM-DD', '2023-01-31'],
        ['+99999:years:YYYY', '102023'],
    ])('now%s → %s', (text, expected) => {
        expect(isMoment(text)).toBe(true);
        expect(momentText(now, text)).toBe(expected);
    });

    test('noon and midnight on a clock of twelve hours', () => {
        expect(momentText(Date.UTC(2024, 0, 1, 0, 0), ':hh A')).toBe('12 AM');
        expect(momentText(Date.UTC(2024, 0, 1, 12, 0), ':hh A')).toBe('12 PM');
    });

    test.each([':', '+7', '+7:parsecs', '+7:days:', '7:days', '+:days', 'x', '+1234567:days', '+1:constructor'])('now%s is none', (text) => {
        expect(isMoment(text)).toBe(false);
    });
});
