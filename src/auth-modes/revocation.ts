/**
 * Revocation of a deleted connection's grant (E7, RFC 7009): the refresh token, which takes its access tokens along, or the
 * access token where there is no other. Where the entry has no `revocation_url`, its deletion hook does it; never both. One
 * attempt; whatever it comes to is an outcome, for the record.
 */
import type { Credentials } from '../credentials/credential.ts';
import { safeText } from '../credentials/token-failure.ts';
import { EgressError } from '../egress/egress.ts';
import { isSuccess } from '../providers/hooks/answers.ts';
import { HookFailure, type DeletionHook } from '../providers/hooks/hook.ts';
import { deletionHooks } from '../providers/hooks/index.ts';
import type { Provider } from '../providers/provider.ts';
import { ConnectFailure, type ModeContext } from './auth-mode.ts';
import { hookContext } from './hook-context.ts';
import { endpointUrl, tokenRequest, withOwnClient } from './oauth2.ts';
import { parseBody, secretsIn, sendAsClient, type TokenRequest } from './token-endpoint.ts';

export type RevocationOutcome =
    | { outcome: 'revoked'; token?: TokenKind; status: number }
    /** `code`: the provider's own, one of the outbound layer, or what kept the request from being made. */
    | { outcome: 'failed'; token?: TokenKind; status?: number; code: string }
    | { outcome: 'skipped'; reason: SkipReason };

export type SkipReason =
    | 'not_asked_for'
    | 'skip_token_revocation'
    | 'not_supported'
    | 'nothing_to_revoke'
    | 'credentials_unreadable'
    | 'possibly_shared_grant';

type TokenKind = 'refresh_token' | 'access_token';

/** Below the ten seconds that orchestrators grant a process to end. */
const revocationMs = 8_000;

/** Whether the catalogue knows how these credentials are revoked. */
export const isRevocable = (provider: Provider | undefined, credentialType: string): boolean =>
    provider !== undefined && (hasRevocationUrl(provider, credentialType) || deletionHook(provider) !== undefined);

/** Whether more may end than this connection's grant. */
export const endsAll = (provider: Provider, credentialType: string): boolean =>
    hasRevocationUrl(provider, credentialType) ? provider.entry.revocation_ends_all === true : deletionHook(provider)?.endsAll === true;

const hasRevocationUrl = (provider: Provider, credentialType: string): boolean => provider.revocationUrl !== undefined && credentialType === 'OAUTH2';

const deletionHook = ({ entry }: Provider): DeletionHook | undefined => deletionHooks.get(String(entry['pre_connection_deletion_script']));

export async function revokeGrant(context: ModeContext, credentials: Credentials): Promise<RevocationOutcome> {
    const template = context.provider.revocationUrl;
    if (template === undefined || credentials.type !== 'OAUTH2') {
        const hook = deletionHook(context.provider);
        return hook === undefined ? { outcome: 'skipped', reason: 'not_supported' } : revokeByHook(hook, context, credentials);
    }
    const token: TokenKind = credentials.refresh_token === undefined ? 'access_token' : 'refresh_token';
    const value = credentials[token];
    if (!value) {
        return { outcome: 'skipped', reason: 'nothing_to_revoke' };
    }
    try {
        const effective = withOwnClient(context, credentials);
        return { token, ...(await send(effective, request(effective, endpointUrl(effective, template), token, value))) };
    } catch (error) {
        if (error instanceof ConnectFailure) {
            return { outcome: 'failed', token, code: error.type };
        }
        if (error instanceof EgressError) {
            return { outcome: 'failed', token, code: error.code };
        }
        throw error;
    }
}

async function revokeByHook(hook: DeletionHook, context: ModeContext, credentials: Credentials): Promise<RevocationOutcome> {
    try {
        const answer = await hook.revoke(hookContext(context, credentials, { deadlineMs: revocationMs }));
        if (answer === undefined) {
            return { outcome: 'skipped', reason: 'nothing_to_revoke' };
        }
        const { status } = answer;
        return isSuccess(status) ? { outcome: 'revoked', status } : { outcome: 'failed', status, code: 'unexpected_answer' };
    } catch (error) {
        if (error instanceof EgressError) {
            return { outcome: 'failed', code: error.code };
        }
        if (error instanceof HookFailure) {
            return { outcome: 'failed', code: 'hook_failed' };
        }
        throw error;
    }
}

function request(context: ModeContext, url: URL, token: TokenKind, value: string): TokenRequest {
    const { entry } = context.provider;
    const usual = tokenRequest(context, url);
    return {
        ...usual,
        clientAuthentication: entry.revocation_auth_method ?? usual.clientAuthentication,
        bodyFormat: entry.revocation_body_format ?? 'form',
        // No token_type_hint: servers find a token without it (RFC 7009 §2.1), and some refuse parameters they do not know.
        params: { [entry.revocation_token_param === 'token_type' ? token : 'token']: value },
        deadlineMs: revocationMs,
        secrets: [],
    };
}

type Answered = { outcome: 'revoked'; status: number } | { outcome: 'failed'; status: number; code: string };

async function send(context: ModeContext, revocation: TokenRequest): Promise<Answered> {
    const { status, headers, body } = await sendAsClient(context.egress, revocation);
    const error = parseBody(headers['content-type'] ?? '', body.toString('utf8'))?.['error'];
    if (status >= 200 && status < 300 && error === undefined) {
        return { outcome: 'revoked', status };
    }
    const code = typeof error === 'string' ? safeText(error, secretsIn(revocation)).slice(0, 100) : '';
    return { outcome: 'failed', status, code: code || 'unexpected_answer' };
}
