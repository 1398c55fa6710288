/** A login's receipt → credentials. Pure: a journalled receipt gives the same credentials after a crash (R2). */
import { isRefreshTokenName, primaryRefreshField, type Obtained, type TwoStepCredentials } from '../../credentials/credential.ts';
import { earliestOf, endsAt, firstKnown, readExpiry, shownExpiry, withoutEnd, type Expiry } from '../../credentials/expiry.ts';
import { containerOf, isObject, valueAt } from '../../credentials/json-path.ts';
import type { TokenReceipt } from '../../credentials/renewal-strategy.ts';
import { classify, safeText } from '../../credentials/token-failure.ts';
import { checkDerivedConfig } from '../../providers/fields.ts';
import type { Provider, ProviderEntry } from '../../providers/provider.ts';
import { complaintIn, readLoginAnswer, textAt, textsIn, type FurtherAnswers, type LoginAnswer } from './login-answer.ts';
import { shapesOf } from '../token-endpoint.ts';
import { LoginRefused } from './login-failure.ts';
import { jwtExpiry } from './signed-jwt.ts';

/** R13: of a session token whose answer and entry say nothing. Sessions die of idleness, mostly after half an hour. */
const assumedLifetimeMs = 30 * 60 * 1000;

/** What the server sets, and no submitted field may. */
export const serverCredentials: ReadonlySet<string> = new Set(['type', 'token', 'refresh_token', 'expires_at', 'raw', 'assertionOption']);

/** The token that an answer holds where the entry says. @param secrets must not appear in an error @throws LoginRefused */
export function assertToken(answer: LoginAnswer, status: number, { displayName, entry }: Provider, secrets: readonly string[]): string {
    const read = readLoginAnswer(answer);
    const token = textAt(read, entry.token_response?.token ?? '');
    if (token !== undefined) return token;
    const code = isObject(read) && typeof read['error'] === 'string' ? read['error'] : undefined;
    const said = safeText(complaintIn(read), secrets.flatMap(shapesOf));
    const what = read === undefined ? 'a page for people, or another thing that is no answer' : `no token${said === '' ? '' : ` (${said})`}`;
    throw new LoginRefused(classify(status, code), `${displayName} answered the login with ${status} and ${what}; the credentials may be wrong.`, {
        code,
    });
}

/** @throws LoginRefused when there is no token in it */
export function readLogin(receipt: TokenReceipt, current: TwoStepCredentials, provider: Provider): Obtained {
    const { entry } = provider;
    const further = (receipt.further ?? {}) as Partial<FurtherAnswers>;
    const raw = readLoginAnswer(receipt);
    const token = assertToken(receipt, receipt.status, provider, textsIn(current));
    const refreshToken = refreshTokenFor(entry, raw, receipt, current, further);
    const end = expiryOf(entry, raw, { token, refreshToken }, receipt.requestedAt);
    const { refresh_token: _old, expires_at: _past, ...kept } = current;
    const derivedConfig = derivedFrom(provider, [raw, ...(further.earlier ?? []).map(readLoginAnswer).toReversed()]);
    return {
        obtainedAt: receipt.requestedAt,
        ...end,
        ...(Object.keys(derivedConfig).length === 0 ? {} : { derivedConfig }),
        credentials: {
            ...kept,
            ...capturedFrom(further, provider),
            ...(receipt.presentedAssertion === undefined ? {} : { assertion: receipt.presentedAssertion }),
            ...rotatedPrimary(entry, raw, receipt, current),
            type: 'TWO_STEP',
            token,
            ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
            ...shownExpiry(end),
            raw,
        },
    };
}

/** R6: a new one replaces the old one, which is kept otherwise, unless the provider has just refused it. */
function refreshTokenFor(
    entry: ProviderEntry,
    raw: unknown,
    receipt: TokenReceipt,
    current: TwoStepCredentials,
    further: Partial<FurtherAnswers>,
): string | undefined {
    const path = entry.token_response?.refresh_token;
    const fresh = path === undefined ? undefined : textAt(raw, path);
    if (fresh !== undefined || further.isRefreshTokenRefused) return fresh;
    return current.refresh_token === undefined ? undefined : (receipt.presentedRefreshToken ?? current.refresh_token);
}

/**
 * R17: a refresh token that was typed in is what every login presents. An answer that has another beside its token has rotated it;
 * one that has none leaves alive what was presented.
 */
function rotatedPrimary(entry: ProviderEntry, raw: unknown, receipt: TokenReceipt, current: TwoStepCredentials): Record<string, string> {
    const field = current.refresh_token === undefined ? primaryRefreshField(current) : undefined;
    if (field === undefined || entry.token_response?.refresh_token !== undefined) return {};
    const beside = containerOf(raw, entry.token_response?.token ?? '');
    const rotated = isObject(beside)
        ? Object.entries(beside).find(([name, value]) => isRefreshTokenName(name) && typeof value === 'string' && value !== '')?.[1]
        : undefined;
    const newest = rotated ?? receipt.presentedRefreshToken;
    return typeof newest === 'string' ? { [field]: newest } : {};
}

function expiryOf(entry: ProviderEntry, raw: unknown, tokens: { token: string; refreshToken: string | undefined }, requestedAt: number): Expiry {
    const { token_expiration: path, token_expiration_strategy: strategy = 'expireAt' } = entry.token_response ?? {};
    const value = path === undefined ? undefined : valueAt(raw, path);
    const named = readExpiry(strategy === 'expireIn' ? { expires_in: value } : { expires_at: value }, requestedAt);
    const endOf = (token: string | undefined): Expiry => readExpiry({ exp: token === undefined ? undefined : jwtExpiry(token) }, requestedAt);
    const isWithoutEnd = entry.token_expires_in_ms === 0;
    const end = firstKnown(
        named,
        earliestOf(declaredEnd(entry, requestedAt), endOf(tokens.token)),
        isWithoutEnd ? withoutEnd : endsAt(requestedAt + assumedLifetimeMs, 'assumed'),
    );
    // To present the refresh token while it is good.
    return earliestOf(end, endOf(tokens.refreshToken));
}

const declaredEnd = ({ token_expires_in_ms: lifetime }: ProviderEntry, requestedAt: number): Expiry =>
    lifetime === undefined || lifetime === 0 ? withoutEnd : endsAt(requestedAt + lifetime, 'entry');

/** Kept headers under their names, each cookie under its own, and all cookies as a `Cookie` header has them. */
function capturedFrom({ headers = {}, setCookies = [] }: Partial<FurtherAnswers>, provider: Provider): Record<string, string> {
    const cookies = setCookies
        .map((cookie) => /^\s*([^=;\s]+)=([^;]*)/.exec(cookie))
        .flatMap((match) => (match?.[2] ? [[match[1]!, match[2].trim()]] : []));
    const isFree = (name: string): boolean => !serverCredentials.has(name) && !provider.credentialRules.has(name);
    const own = [...Object.entries(headers), ...cookies].filter(([name]) => isFree(name!));
    return {
        ...(Object.fromEntries(own) as Record<string, string>),
        ...(cookies.length === 0 ? {} : { _cookies: cookies.map(([name, value]) => `${name}=${value}`).join('; ') }),
    };
}

/** R18, N3. The last answer that knows a value has the say. */
function derivedFrom(provider: Provider, answers: readonly unknown[]): Record<string, unknown> {
    const paths = [...(provider.entry.token_response_metadata ?? []), ...(provider.entry.refresh_token_response_metadata ?? [])];
    const found = paths.flatMap((path) => {
        const value = answers
            .map((answer) => valueAt(answer, path))
            .find((candidate) => typeof candidate === 'string' || typeof candidate === 'boolean');
        return value === undefined ? [] : [[path, value] as const];
    });
    return checkDerivedConfig(provider, Object.fromEntries(found), 'token_response').values;
}
