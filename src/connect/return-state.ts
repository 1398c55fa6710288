/**
 * The end of a connect link as its customer's backend may believe it (frontend contract §7.12): a compact JWS (RFC 7515) by the environment's
 * active signing key (EdDSA, RFC 8037), whose public half already verifies its webhooks. Typed, so that it is taken for no other
 * token, and no other for it (RFC 8725 §3.11); a webhook's signed text has no shape of a JWS. The address is of the user's browser: what it
 * shows may be copied, so it is short-lived and says for whom it is.
 */
import type { Kysely } from 'kysely';
import { openSigningKeys } from '../credentials/webhook-signing-keys.ts';
import type { Vault } from '../credentials/vault.ts';
import type { Sources } from '../sources.ts';
import type { ConnectSessionRow, EndUser, Schema } from '../store/schema.ts';
import { environmentKeys, findActive } from '../store/webhook-signing-keys.ts';
import { ed25519Key } from '../webhooks/signature.ts';

export const returnStateType = 'valetkey-return+jwt';
/** Not `state`: a customer's own is in many return URLs. */
export const returnStateParameter = 'valetkey_state';
const lifetimeSeconds = 300;

/** @returns the session's `return_url` with its outcome and the signed state; `undefined`: there is nowhere to return to, or nothing was connected. @throws VaultError */
export async function signedReturnAddress(
    { db, vault, sources, publicUrl }: { db: Kysely<Schema>; vault: Vault; sources: Sources; publicUrl: string },
    session: Pick<ConnectSessionRow, 'environment_id' | 'return_url' | 'outcome'>,
    endUser: EndUser | null,
): Promise<string | undefined> {
    const { return_url: returnUrl, outcome } = session;
    if (returnUrl === null || outcome?.status !== 'success') {
        return undefined;
    }
    const row = await findActive(db, environmentKeys(session.environment_id));
    if (row === undefined) {
        return undefined;
    }
    const said = {
        status: outcome.is_pending ? 'pending' : 'success',
        connection_id: outcome.connection_id ?? '',
        provider_config_key: outcome.provider_config_key ?? '',
    };
    const now = Math.floor(sources.now() / 1000);
    const { SignJWT } = await import('jose');
    const state = await new SignJWT({ ...said, end_user_id: endUser?.id ?? null })
        .setProtectedHeader({ alg: 'EdDSA', typ: returnStateType, kid: row.id })
        .setIssuer(publicUrl)
        .setAudience(returnUrl)
        .setIssuedAt(now)
        .setExpirationTime(now + lifetimeSeconds)
        .sign(ed25519Key(await openSigningKeys(vault, session.environment_id, row)));
    const url = new URL(returnUrl);
    for (const [name, value] of Object.entries({ ...said, [returnStateParameter]: state })) {
        url.searchParams.set(name, value);
    }
    return url.href;
}
