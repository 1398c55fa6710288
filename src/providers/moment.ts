/**
 * `${now}`, `${now:FORMAT}` and `${now+7:days:FORMAT}`: the present in UTC, with the format tokens of Day.js that dates and
 * signatures need. What stands between square brackets is copied.
 */

interface Shift {
    amount: number;
    unit: Unit;
    format: string;
}

const units = {
    second: 1000,
    minute: 60_000,
    hour: 3_600_000,
    day: 86_400_000,
    week: 7 * 86_400_000,
    month: 0,
    year: 0,
} as const;
type Unit = keyof typeof units;

const shift = /^([+-][0-9]{1,5}):([a-z]+?)s?(?:$|:)/;
const token = /\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|dddd|ddd|dd|d|HH|H|hh|h|A|a|mm|m|ss|s|SSS|ZZ|Z|X|x/g;
const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

/** What may follow `now`. */
export function isMoment(text: string): boolean {
    return text === '' || (text.startsWith(':') && text.length > 1) || (parseShift(text)?.format ?? ':') !== ':';
}

/** @param now milliseconds @param text what follows `now`, as `isMoment` lets it through */
export function momentText(now: number, text: string): string {
    const { amount, unit, format } = parseShift(text) ?? { amount: 0, unit: 'day', format: text };
    const date = shifted(new Date(now), amount, unit);
    return format === '' ? date.toISOString() : formatted(date, format.slice(1));
}

function parseShift(text: string): Shift | undefined {
    const [all, amount, unit = ''] = shift.exec(text) ?? [];
    if (all === undefined || !Object.hasOwn(units, unit)) return undefined;
    const format = text.slice(all.endsWith(':') ? all.length - 1 : all.length);
    return { amount: Number(amount), unit: unit as Unit, format };
}

/** The last day of a shorter month stands for those it lacks, as in every calendar. */
function shifted(date: Date, amount: number, unit: Unit): Date {
    if (unit !== 'month' && unit !== 'year') return new Date(date.getTime() + amount * units[unit]);
    const moved = new Date(date);
    moved.setUTCDate(1);
    moved.setUTCMonth(date.getUTCMonth() + amount * (unit === 'year' ? 12 : 1));
    const lastDay = new Date(Date.UTC(moved.getUTCFullYear(), moved.getUTCMonth() + 1, 0)).getUTCDate();
    moved.setUTCDate(Math.min(date.getUTCDate(), lastDay));
    return moved;
}

function formatted(date: Date, format: string): string {
    const two = (value: number): string => String(value).padStart(2, '0');
    const year = String(date.getUTCFullYear()).padStart(4, '0');
    const month = date.getUTCMonth();
    const monthName = months[month] ?? '';
    const dayName = days[date.getUTCDay()] ?? '';
    const hour = date.getUTCHours();
    const half = hour % 12 || 12;
    const milliseconds = date.getTime();
    const values: Readonly<Record<string, string>> = {
        YYYY: year,
        YY: year.slice(-2),
        MMMM: monthName,
        MMM: monthName.slice(0, 3),
        MM: two(month + 1),
        M: String(month + 1),
        DD: two(date.getUTCDate()),
        D: String(date.getUTCDate()),
        dddd: dayName,
        ddd: dayName.slice(0, 3),
        dd: dayName.slice(0, 2),
        d: String(date.getUTCDay()),
        HH: two(hour),
        H: String(hour),
        hh: two(half),
        h: String(half),
        A: hour < 12 ? 'AM' : 'PM',
        a: hour < 12 ? 'am' : 'pm',
        mm: two(date.getUTCMinutes()),
        m: String(date.getUTCMinutes()),
        ss: two(date.getUTCSeconds()),
        s: String(date.getUTCSeconds()),
        SSS: String(date.getUTCMilliseconds()).padStart(3, '0'),
        ZZ: '+0000',
        Z: '+00:00',
        X: String(Math.floor(milliseconds / 1000)),
        x: String(milliseconds),
    };
    return format.replace(token, (found, literal: string | undefined) => literal ?? values[found] ?? found);
}
