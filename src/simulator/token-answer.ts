/** Successful token answers in the shape that an entry describes: names, nesting, expiry, metadata, rotation. */
import type { Entry } from './entry.ts';
import type { Grant } from './grants.ts';
import { metadataValue } from './metadata-values.ts';
import { claimsOf, microsoft } from './token-claims.ts';
import type { Answer, Call } from './twin.ts';

/** Vendors known to say `expires_at` (epoch seconds) too, and those whose tokens carry no lifetime at all. */
const withExpiresAt: ReadonlySet<string> = new Set(['strava', 'strava-web']);
const withoutExpiry =
    /^(?:github|salesforce(?:-sandbox|-experience-cloud|-cc|-jwt)?|notion|linear|vercel|webflow|mailchimp|monday|clickup|intercom)$/;

/** Their tokens end all the same; whoever wants to know asks the introspection endpoint. */
const expiresInSilence = /^salesforce/;

/** Vendors whose refresh token stays the same. Microsoft's gives a new one and lets the old one live. */
const keepsRefreshToken = /^(?:google|youtube|stitch-mcp|zoho|dropbox|hubspot|salesforce|quickbooks)/;

/** Vendors that give a refresh token only to those who ask in the authorization request. */
const offlineParams: Readonly<Record<string, string>> = { access_type: 'offline', token_access_type: 'offline', duration: 'permanent' };
const offlineScope = /^offline(?:[_.]access)?$/;

export interface Issued {
    readonly access: string;
    readonly refresh: string | undefined;
    /** Seconds; `undefined`: the answer says nothing. */
    readonly lifetime: number | undefined;
}

const leadConnector = { userType: 'Location', companyId: 'simulated-company', locationId: 'simulated-location' };

/** What hooks read from the answer itself. */
const extras: Readonly<Record<string, Readonly<Record<string, unknown>>>> = { highlevel: leadConnector, 'highlevel-white-label': leadConnector };

/** Tokens for a grant. `presented`: the refresh token that was exchanged. */
export function issueTokens(call: Call, grant: Grant, presented?: string): Issued {
    const { entry, world } = call;
    const lifetime = withoutExpiry.test(entry.slug) ? undefined : world.lifetimeOf(entry.slug);
    const access = world.grants.issueAccess(
        grant,
        expiresInSilence.test(entry.slug) ? world.lifetimeOf(entry.slug) : lifetime,
        claimsOf(call, grant),
    );
    if (presented !== undefined && keepsRefreshToken.test(entry.slug)) return { access, refresh: undefined, lifetime };
    if (presented !== undefined && !microsoft.test(entry.slug)) world.grants.spend(presented);
    const isRenewable = presented !== undefined || asksForOffline(entry, grant);
    return { access, refresh: isRenewable ? world.grants.issueRefresh(grant) : undefined, lifetime };
}

function asksForOffline(entry: Entry, { scopes, memory }: Grant): boolean {
    const declared = Object.entries(offlineParams).filter(([name, value]) => entry.authorization_params?.[name] === value);
    if (declared.some(([name, value]) => memory[name] !== value)) return false;
    const offlineScopes = (entry.default_scopes ?? []).filter((scope) => offlineScope.test(scope));
    return offlineScopes.length === 0 || offlineScopes.some((scope) => scopes.includes(scope));
}

export function tokenAnswer(call: Call, grant: Grant, issued: Issued): Answer {
    const { entry, request, world } = call;
    const token: Record<string, unknown> = {
        access_token: issued.access,
        token_type: 'Bearer',
        ...(issued.lifetime === undefined ? {} : { expires_in: entry.expires_in_unit === 'milliseconds' ? issued.lifetime * 1000 : issued.lifetime }),
        ...(issued.lifetime !== undefined && withExpiresAt.has(entry.slug) ? { expires_at: Math.floor(world.now() / 1000) + issued.lifetime } : {}),
        ...(issued.refresh === undefined ? {} : { refresh_token: issued.refresh }),
        ...(grant.scopes.length === 0 ? {} : { scope: grant.scopes.join(entry.scope_separator ?? ' ') }),
        ...extras[entry.slug],
    };
    const path = entry.alternate_access_token_response_path;
    const body = path === undefined ? token : { ok: true, [path]: token };
    for (const name of entry.token_response_metadata ?? []) setPath(body, name, metadataValue(call, name));

    // A form, unless JSON is asked for.
    if (entry.slug === 'github' && !(request.headers['accept'] ?? '').includes('json')) {
        const text = new URLSearchParams(Object.entries(token).map(([name, value]) => [name, String(value)])).toString();
        return { status: 200, headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }, body: text };
    }
    return { status: 200, headers: { 'cache-control': 'no-store' }, body };
}

/** Puts a value at a dotted path. */
export function setPath(target: Record<string, unknown>, path: string, value: unknown): void {
    const names = path.split('.');
    let place = target;
    for (const name of names.slice(0, -1)) {
        place[name] = typeof place[name] === 'object' && place[name] !== null ? place[name] : {};
        place = place[name] as Record<string, unknown>;
    }
    place[names.at(-1)!] = value;
}
