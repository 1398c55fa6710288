/** What can be made to go wrong, for one twin or for all of them. Switched by the control API and on the activity page. */
import type { Answer, EndpointKind } from './twin.ts';

export const faults = {
    deny: 'The person says no; a login is refused',
    slow: 'Every answer takes 5 seconds',
    error: 'Servers answer 500',
    html: 'Servers answer with an HTML page and status 200',
    lost_refresh: 'A refresh is done, the old token is spent, and the answer gets lost',
    clock_skew: 'The vendor’s clock is ten minutes ahead (Date header)',
    revoked: 'Everything that was granted is taken back',
    rate_limited: 'Servers answer 429 with Retry-After',
    redirect: 'Servers answer with a redirect to another host',
    short_lived: 'Tokens live for one minute',
    auto_approve: 'The consent page approves by itself (for tests)',
} as const;

export type Fault = keyof typeof faults;

/** All twins at once. */
export const everyTwin = '*';

export const slowMs = 5_000;
export const skewMs = 10 * 60_000;
export const shortLifetimeSeconds = 60;
const retryAfterSeconds = 30;

export const isFault = (text: unknown): text is Fault => typeof text === 'string' && Object.hasOwn(faults, text);

export class Switches {
    readonly #on = new Set<string>();

    /** `slug`: a provider or `*`. */
    set(slug: string, fault: Fault, isOn: boolean): void {
        const key = `${slug} ${fault}`;
        if (isOn) this.#on.add(key);
        else this.#on.delete(key);
    }

    isOn(slug: string, fault: Fault): boolean {
        return this.#on.has(`${slug} ${fault}`) || this.#on.has(`${everyTwin} ${fault}`);
    }

    list(): { slug: string; fault: Fault }[] {
        return [...this.#on].map((key) => {
            const [slug, fault] = key.split(' ') as [string, Fault];
            return { slug, fault };
        });
    }

    clear(): void {
        this.#on.clear();
    }
}

/** Pages that a person sees; outages are for servers. */
const pages: ReadonlySet<EndpointKind> = new Set(['authorize', 'install']);
const grants: ReadonlySet<EndpointKind> = new Set(['refresh', 'token', 'login step', 'request token']);

/** The answer in place of the twin's own, before it has looked at the request. */
export function faultyAnswer(switches: Switches, slug: string, kind: EndpointKind): Answer | undefined {
    if (pages.has(kind)) return undefined;
    if (switches.isOn(slug, 'error'))
        return { status: 500, headers: { 'content-type': 'text/plain' }, body: 'Internal Server Error', note: 'fault: 500' };
    if (switches.isOn(slug, 'html')) {
        const body = '<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>';
        return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body, note: 'fault: an HTML page' };
    }
    if (switches.isOn(slug, 'rate_limited')) {
        return { status: 429, headers: { 'retry-after': String(retryAfterSeconds) }, body: { error: 'rate_limited' }, note: 'fault: 429' };
    }
    if (switches.isOn(slug, 'redirect')) {
        return { status: 302, headers: { location: 'https://elsewhere.example/' }, body: '', note: 'fault: a redirect' };
    }
    if (switches.isOn(slug, 'revoked')) {
        return grants.has(kind)
            ? { status: 400, body: { error: 'invalid_grant', error_description: 'The grant was revoked.' }, note: 'fault: revoked' }
            : {
                  status: 401,
                  headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
                  body: { error: 'invalid_token' },
                  note: 'fault: revoked',
              };
    }
    if (switches.isOn(slug, 'deny') && kind === 'login step') return { status: 401, body: { error: 'access_denied' }, note: 'fault: denied' };
    return undefined;
}
