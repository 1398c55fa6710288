/** A place in a list as callers carry it: opaque to them, the same on every replica, and worth nothing to anybody else. */
import { z } from 'zod';
import type { Place } from '../store/connection-listing.ts';

export const cursorOf = ({ created, id }: Place): string => Buffer.from(`${created}_${id}`).toString('base64url');

function placeOf(cursor: string): Place | undefined {
    const [, created, id] =
        /^([1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})_(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
    if (created === undefined || !isTime(created)) {
        return undefined;
    }
    const place = { created, id: Number(id) };
    return cursorOf(place) === cursor ? place : undefined;
}

/** Whether such a moment exists: Postgres would not read the 30th of February. */
function isTime(text: string): boolean {
    const time = new Date(`${text}Z`);
    return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 19) === text.slice(0, 19);
}

export const Cursor = z
    .string()
    .max(100)
    .transform((text, context) => {
        const place = placeOf(text);
        if (place === undefined) {
            context.addIssue({ code: 'invalid_format', format: 'cursor', message: 'This is not a cursor of this list', input: text });
            return z.NEVER;
        }
        return place;
    });

/**
 * The rest of a list as a `Link` header (RFC 8288). Relative to the request (RFC 3986 §5.3), because only the caller knows by
 * which address it reaches this server.
 */
export function linkToNext(requestUrl: string, end: Place): string {
    const query = new URLSearchParams(requestUrl.split('?')[1] ?? '');
    query.delete('page');
    query.set('cursor', cursorOf(end));
    return `<?${query.toString()}>; rel="next"`;
}
