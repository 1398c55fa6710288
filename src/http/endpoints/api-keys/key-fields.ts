/** What callers say of API keys (http-api §10.3, settings S2, S6). */
import { z } from 'zod';
import { canonicalRange } from '../../../environments/allowed-addresses.ts';
import type { KeyChange, WantedKey } from '../../../environments/api-keys.ts';
import type { Sources } from '../../../sources.ts';
import { ApiError } from '../../errors.ts';
import { DisplayName, PublicId } from '../../field-types.ts';

const dayInSeconds = 86_400;

const passed = 'Must be in the future';
const ExpiresAt = z.iso.datetime({ offset: true, abort: true }).describe('When the key stops working.');
const LaterExpiresAt = (sources: Sources) => ExpiresAt.refine((text) => Date.parse(text) > sources.now(), { message: passed });

const AllowedCidrs = z
    .array(z.string().refine((text) => canonicalRange(text) !== undefined, { message: 'Must be an IP address, or a range in CIDR notation' }))
    .min(1)
    .max(100)
    .describe(
        'Addresses and ranges from which the key may be used. Behind a proxy this needs VALETKEY_TRUST_PROXY, or every caller has the address of the proxy.',
    );

/** @param grantable the scopes that keys of this kind can have */
export function keyFields(sources: Sources, grantable: readonly string[]) {
    const scopes = z.array(z.enum(grantable)).min(1).max(200);
    const allowed_cidrs = AllowedCidrs.nullish();
    return {
        create: {
            display_name: DisplayName.meta({ examples: ['Continuous integration'] }),
            scopes: scopes.optional().describe('Default: full access.'),
            // Compared with the clock by `wantedKey`: a repeated request is the same request however late it comes.
            expires_at: ExpiresAt.nullish(),
            allowed_cidrs,
        },
        update: {
            display_name: DisplayName.optional().meta({ examples: ['Continuous integration'] }),
            scopes: scopes.optional(),
            expires_at: LaterExpiresAt(sources).nullish(),
            allowed_cidrs,
        },
    };
}

export const UpdateBody = (sources: Sources, grantable: readonly string[]) =>
    z
        .strictObject(keyFields(sources, grantable).update)
        .refine((change) => Object.keys(change).length > 0, { message: 'Name at least one member', when: ({ issues }) => issues.length === 0 });

export const KeyParams = z.object({ keyId: PublicId });

export const RotateBody = z
    .strictObject({
        overlap_seconds: z
            .int()
            .min(0)
            .max(30 * dayInSeconds)
            .default(dayInSeconds)
            .describe('How long the predecessor keeps working beside its successor.'),
    })
    // a POST without a body
    .prefault({});

interface Fields {
    display_name?: string | undefined;
    scopes?: readonly string[] | undefined;
    expires_at?: string | null | undefined;
    allowed_cidrs?: readonly string[] | null | undefined;
}

/** @throws ApiError 400 when it would have expired already */
export function wantedKey(body: Fields & { display_name: string }, sources: Sources): WantedKey {
    const expiresAt = dateOf(body.expires_at) ?? null;
    if (expiresAt !== null && expiresAt.getTime() <= sources.now()) {
        throw ApiError.invalid('invalid_body', [{ code: 'custom', message: passed, path: ['expires_at'] }]);
    }
    return { displayName: body.display_name, scopes: body.scopes, expiresAt, allowedCidrs: canonical(body.allowed_cidrs) ?? null };
}

export const keyChange = (body: Fields): KeyChange => ({
    displayName: body.display_name,
    scopes: body.scopes,
    expiresAt: dateOf(body.expires_at),
    allowedCidrs: canonical(body.allowed_cidrs),
});

const dateOf = (text: string | null | undefined): Date | null | undefined => (typeof text === 'string' ? new Date(text) : text);

const canonical = (ranges: readonly string[] | null | undefined): string[] | null | undefined =>
    ranges && [...new Set(ranges.map((text) => canonicalRange(text)!))];
