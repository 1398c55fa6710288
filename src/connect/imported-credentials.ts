/** What an import submits → credentials as they are stored, proved first where there is a way to (http-api §8.3 no. 5). */
import { ConnectFailure, type AuthMode, type ModeContext } from '../auth-modes/auth-mode.ts';
import { testCredentials } from '../auth-modes/credential-test.ts';
import { assumedTokenLifetimeMs } from '../auth-modes/oauth2-cc.ts';
import type { AppCredentials, Credentials, OAuth2ClientCredentials, Obtained, TbaCredentials } from '../credentials/credential.ts';
import { endsAt, parseStoredExpiry, shownExpiry, withoutEnd } from '../credentials/expiry.ts';
import { proveSubmitted } from './direct-connect.ts';

type ConfigOverride = { client_id?: string | undefined; client_secret?: string | undefined };
/** A date in any form that `parseStoredExpiry` reads. */
type DateLike = unknown;

export type SubmittedCredentials =
    | {
          type: 'OAUTH2';
          access_token: string;
          refresh_token?: string | undefined;
          expires_at?: DateLike;
          config_override?: ConfigOverride | undefined;
      }
    | {
          type: 'OAUTH2_CC';
          token: string;
          client_id: string;
          client_secret: string;
          client_certificate?: string | undefined;
          client_private_key?: string | undefined;
          expires_at?: DateLike;
      }
    | { type: 'OAUTH1'; oauth_token: string; oauth_token_secret: string }
    | { type: 'BASIC'; username: string; password: string }
    | { type: 'API_KEY'; apiKey: string }
    | { type: 'NONE' }
    | { type: 'TBA'; token_id: string; token_secret: string; config_override?: ConfigOverride | undefined }
    | { type: 'APP' | 'CUSTOM'; app_id: string; installation_id: string }
    | { type: 'JWT' | 'TWO_STEP' | 'SIGNATURE' | 'BILL' | 'AWS_SIGV4'; [submitted: string]: unknown };

export interface Submission {
    credentials: SubmittedCredentials;
    /** Instead of the submitted credentials. */
    raw?: Record<string, unknown> | undefined;
    /** Typed-in kinds are tried at the provider. */
    isTested: boolean;
}

const tokenCallMs = 20_000;

/** @throws ConnectFailure `connection_test_failed`, `url_param_err`, `verification_unavailable` of a login; TokenFailure when no installation token is to be had */
export async function obtainImported(context: ModeContext, mode: AuthMode | undefined, submission: Submission): Promise<Obtained> {
    const { credentials: submitted, isTested } = submission;
    const raw = submission.raw ?? { ...submitted };
    switch (submitted.type) {
        case 'OAUTH2': {
            const { type, access_token, refresh_token, config_override } = submitted;
            return obtained(context, submitted.expires_at, null, (expiry) => ({
                type,
                access_token,
                ...(refresh_token === undefined ? {} : { refresh_token }),
                ...expiry,
                raw,
                ...(config_override === undefined ? {} : { config_override: present(config_override) }),
            }));
        }
        case 'OAUTH2_CC':
            return importClient(context, submitted, raw);
        case 'OAUTH1':
            return obtained(context, undefined, null, () => ({ ...submitted, raw }));
        case 'BASIC':
        case 'API_KEY': {
            const { type: _, ...typedIn } = submitted;
            return isTested && mode?.direct ? proveSubmitted(mode.direct, context, typedIn) : obtained(context, undefined, null, () => submitted);
        }
        case 'TBA': {
            const credentials: TbaCredentials = {
                type: 'TBA',
                token_id: submitted.token_id,
                token_secret: submitted.token_secret,
                config_override: present(submitted.config_override ?? {}),
            };
            const tested = isTested ? await testCredentials(context, credentials) : {};
            return { ...obtained(context, undefined, null, () => credentials), ...tested };
        }
        case 'APP':
        case 'CUSTOM':
            return fetchInstallationToken(context, mode);
        case 'JWT':
        case 'TWO_STEP':
        case 'SIGNATURE':
        case 'BILL':
        case 'AWS_SIGV4': {
            // A6: what a person would type in is what is imported; the token is made from it, here and now.
            const { type: _, ...typedIn } = submitted;
            if (mode?.direct === undefined) {
                throw new ConnectFailure('invalid_auth_mode', `${context.provider.displayName} is not connected with such credentials.`);
            }
            // A backend speaks for its connections: what it says of one counts like what is stored of it.
            return proveSubmitted(mode.direct, context, typedIn, context.connectionConfig);
        }
        case 'NONE':
            return obtained(context, undefined, null, () => ({}));
    }
}

/** Lifetimes count from the import: nobody says when the token was issued. @param assumedMs of a token without a date */
function obtained(
    { sources }: ModeContext,
    date: DateLike,
    assumedMs: number | null,
    credentials: (expiry: { expires_at?: string }) => Credentials,
): Obtained {
    const now = sources.now();
    const given = parseStoredExpiry(date, now);
    const end = given !== null ? endsAt(given, 'import') : assumedMs !== null ? endsAt(now + assumedMs, 'assumed') : withoutEnd;
    return { credentials: credentials(shownExpiry(end)), obtainedAt: now, ...end };
}

function importClient(context: ModeContext, submitted: SubmittedCredentials & { type: 'OAUTH2_CC' }, raw: Record<string, unknown>): Obtained {
    const { expires_at: date, client_certificate, client_private_key, ...rest } = submitted;
    const credentials: OAuth2ClientCredentials = {
        ...rest,
        ...(client_certificate === undefined ? {} : { client_certificate }),
        ...(client_private_key === undefined ? {} : { client_private_key }),
        raw,
    };
    // A guess is worth something only where the token can be renewed.
    const assumedMs = rest.client_id === '' ? null : assumedTokenLifetimeMs;
    return obtained(context, date, assumedMs, (expiry) => ({ ...credentials, ...expiry }));
}

/** @throws TokenFailure */
async function fetchInstallationToken(context: ModeContext, mode: AuthMode | undefined): Promise<Obtained> {
    const none: AppCredentials = { type: 'APP', access_token: '', raw: {} };
    const strategy = mode?.renewal?.(context, none);
    if (strategy === undefined) {
        throw new ConnectFailure('invalid_auth_mode', `${context.provider.displayName} has no installations.`);
    }
    return strategy.interpret(await strategy.present(none, undefined, tokenCallMs), none);
}

const present = (override: ConfigOverride): { client_id?: string; client_secret?: string } => ({
    ...(override.client_id === undefined ? {} : { client_id: override.client_id }),
    ...(override.client_secret === undefined ? {} : { client_secret: override.client_secret }),
});
