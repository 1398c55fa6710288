/** What a response's `Date` header says about the clock of the server that sent it (R11). */

// RFC 9110 §5.6.7: what servers send, and the two obsolete forms that recipients must still accept.
const IMF_FIXDATE = /^[A-Z][a-z]{2}, (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/;
const RFC_850 = /^[A-Z][a-z]+day, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\d{2}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/;
const ASCTIME = /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d{2}:\d{2}:\d{2}) (?<year>\d{4})$/;

/**
 * How many ms the server's clock is ahead of ours (negative: behind), or undefined without a readable `Date` header (RFC 9110
 * §6.6.1). `requestedAt` and `receivedAt` are our clock readings around the exchange, ms. The header has whole seconds, cut off,
 * so half a second is added; the estimate is good to ±(500 ms + half the exchange).
 */
export function estimateSkew(dateHeader: string | undefined, requestedAt: number, receivedAt: number): number | undefined {
    const date = dateHeader === undefined ? undefined : parseHttpDate(dateHeader, receivedAt);
    return date === undefined ? undefined : Math.round(date + 500 - (requestedAt + receivedAt) / 2);
}

function parseHttpDate(text: string, now: number): number | undefined {
    const { day, month, year, time } = (IMF_FIXDATE.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text))?.groups ?? {};
    if (day === undefined || year === undefined) return undefined;
    const parsed = Date.parse(`${day.trim().padStart(2, '0')} ${month} ${fullYear(year, now)} ${time} GMT`);
    return Number.isNaN(parsed) ? undefined : parsed;
}

/** A two-digit year is the one nearest to now that is not more than 50 years ahead (RFC 9110 §5.6.7). */
function fullYear(digits: string, now: number): string {
    if (digits.length === 4) return digits;
    const thisYear = new Date(now).getUTCFullYear();
    const year = thisYear - (thisYear % 100) + Number(digits);
    return String(year > thisYear + 50 ? year - 100 : year);
}
