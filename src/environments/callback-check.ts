/**
 * Whether a callback address of the customer's own leads browsers back here with what the provider said (webhooks §4.6, S8).
 * Asks it as a browser would after consent, and follows its redirects only as far as this instance: nothing is called back here.
 */
import { EgressError, type Egress } from '../egress/egress.ts';
import type { Sources } from '../sources.ts';

export const callbackCheckReasons = [
    'blocked_by_policy',
    'unreachable',
    'no_redirect',
    'wrong_location',
    'query_changed',
    'too_many_redirects',
] as const;

export interface CallbackCheck {
    ok: boolean;
    /** Of the last answer; `null` when there was none, or none was needed. */
    status: number | null;
    /** Where the last redirect led, without its query: the query is ours. */
    location: string | null;
    reason: (typeof callbackCheckReasons)[number] | null;
}

/** A browser follows these with GET, whatever they say about other methods (RFC 9110 §15.4). */
const redirects = new Set([301, 302, 303, 307, 308]);
const mostHops = 5;
const deadlineMs = 10_000;

export async function checkCallback(
    { egress, sources }: { egress: Egress; sources: Sources },
    callbackUrl: string,
    defaultCallbackUrl: string,
): Promise<CallbackCheck> {
    if (callbackUrl === defaultCallbackUrl) {
        return { ok: true, status: null, location: callbackUrl, reason: null };
    }
    const probe = probeQuery(sources);
    let url = new URL(callbackUrl);
    probe.forEach(([name, value]) => url.searchParams.append(name, value));
    for (let hop = 0, status: number | null = null, location: string | null = null; ; hop += 1) {
        const failed = (reason: CallbackCheck['reason']): CallbackCheck => ({ ok: false, status, location, reason });
        if (hop === mostHops) {
            return failed('too_many_redirects');
        }
        let header: string | undefined;
        try {
            const answer = await egress.request({ url, deadlineMs, maxResponseBytes: 64 * 1024, oversize: 'truncate' });
            status = answer.status;
            header = redirects.has(status) ? answer.headers['location'] : undefined;
        } catch (error) {
            if (!(error instanceof EgressError)) {
                throw error;
            }
            status = null;
            return failed(error.code === 'blocked_by_policy' ? 'blocked_by_policy' : 'unreachable');
        }
        const target = header === undefined ? null : URL.parse(header, url);
        if (target === null) {
            // A page of theirs somewhere on the way is not the callback that they were asked to pass on.
            return failed(hop === 0 ? 'no_redirect' : 'wrong_location');
        }
        location = target.origin + target.pathname;
        if (isSamePage(target, new URL(defaultCallbackUrl))) {
            return isIntact(target, probe) ? { ok: true, status, location, reason: null } : failed('query_changed');
        }
        url = target;
    }
}

/** With everything that careless redirects spoil: reserved characters, spaces, an empty value. */
const probeQuery = (sources: Sources): [string, string][] => [
    ['code', `4/0A+${sources.random(12).toString('base64')}&=%`],
    ['state', sources.random(32).toString('base64url')],
    ['scope', 'read write'],
    ['empty', ''],
];

/** As the router matches it: letter case and a trailing slash do not count. */
const isSamePage = (one: URL, other: URL): boolean => one.origin === other.origin && path(one) === path(other);
const path = ({ pathname }: URL): string => pathname.toLowerCase().replace(/\/$/, '');

const isIntact = (target: URL, probe: readonly [string, string][]): boolean =>
    probe.every(([name, value]) => {
        const found = target.searchParams.getAll(name);
        return found.length === 1 && found[0] === value;
    });
