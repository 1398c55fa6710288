/** A webhook signing key as the API shows it, and whose it is. */
import { z } from 'zod';
import { openSigningKeys } from '../../../credentials/webhook-signing-keys.ts';
import type { WebhookSigningKeyRow } from '../../../store/schema.ts';
import type { KeyOwner } from '../../../store/webhook-signing-keys.ts';
import { publicVerificationKey, standardWebhooksSecret, type SigningKeys } from '../../../webhooks/signature.ts';
import type { Principal } from '../../authentication.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';

export const ofEndpoint = z.uuid().optional().describe('Of an endpoint with `own_signing_key`, in place of the environment’s.');

export const ownerOf = (principal: Principal, endpointId: string | undefined): KeyOwner => ({
    environmentId: principal.environment!.id,
    endpointId: endpointId ?? null,
});

export const noSigningKey = ({ endpointId }: KeyOwner): ApiError =>
    ApiError.simple(
        404,
        'not_found',
        endpointId === null ? 'This environment has no webhook signing key.' : 'There is no endpoint with a key of its own by this id.',
    );

export const SigningSecrets = z.object({
    webhook_signing_key: z
        .string()
        .describe('The secret, as `X-Nango-Hmac-Sha256` uses it and official clients take it: `whsec_…`, or an imported UUID.'),
    standard_webhooks_secret: z.string().describe('The same secret as libraries for Standard Webhooks take it: always `whsec_…`.'),
    webhook_public_key: z.string().describe('`whpk_…`: verifies the `v1a` entries of `webhook-signature` (Ed25519).'),
});

export const signingSecrets = (keys: SigningKeys): z.output<typeof SigningSecrets> => ({
    webhook_signing_key: keys.secret,
    standard_webhooks_secret: standardWebhooksSecret(keys),
    webhook_public_key: publicVerificationKey(keys),
});

export const SigningKey = z.object({
    id: z.uuid(),
    state: z
        .enum(['active', 'retiring', 'revoked'])
        .describe('`active` signs; `retiring` signs beside it until `retires_at`; `revoked` signs nothing and its secret is gone.'),
    created_at: z.iso.datetime(),
    retires_at: z.iso.datetime().nullable().describe('When a retiring key ends, or a revoked one ended; `null` for the active key.'),
    signs_legacy_headers: z.boolean().describe('Whether `X-Nango-Signature` and `X-Nango-Hmac-Sha256` are made with this key.'),
    ...SigningSecrets.partial().shape,
});

/** Newest first. With secrets where the caller may read them. */
export async function signingKeyViews(
    { vault, sources }: Pick<Services, 'vault' | 'sources'>,
    rows: readonly WebhookSigningKeyRow[],
    withSecrets: boolean,
): Promise<z.output<typeof SigningKey>[]> {
    // What is past its time no longer signs, though the hourly purge has yet to mark it.
    const isOver = (row: WebhookSigningKeyRow): boolean => row.retires_at !== null && row.retires_at.getTime() <= sources.now();
    const isLegacyElsewhere = rows.some((row) => row.signs_legacy && !isOver(row));
    return Promise.all(
        rows.map(async (row) => ({
            id: row.id,
            state: isOver(row) ? ('revoked' as const) : row.state,
            created_at: row.created_at.toISOString(),
            retires_at: row.retires_at?.toISOString() ?? null,
            signs_legacy_headers: row.state === 'active' ? !isLegacyElsewhere : row.signs_legacy && !isOver(row),
            ...(withSecrets && row.sealed_keys !== null && !isOver(row)
                ? signingSecrets(await openSigningKeys(vault, row.environment_id, { id: row.id, sealed_keys: row.sealed_keys }))
                : {}),
        })),
    );
}
