/** What `one-drive`, `sharepoint-online` and `microsoft-teams-bot` share: a second token, kept sealed in the connection's configuration. */
import { effectiveMargin, parseExpiresIn } from '../../credentials/expiry.ts';
import { textOf } from './grants.ts';
import type { Answers, Further, ReadingContext, TokenReading } from './token-exception.ts';

/** After an outage; what is refused is not asked for again before the first token is renewed. */
const retryAfterMs = 5 * 60_000;

/** The endpoint of one tenant: `/common/oauth2/v2.0/token` and `/<tenant>/oauth2/v2.0/token` differ in their first segment. */
export function tenantUrl(tokenUrl: URL, tenant: string): URL {
    const url = new URL(tokenUrl);
    url.pathname = url.pathname.replace(/^\/[^/]*/, () => `/${encodeURIComponent(tenant)}`);
    return url;
}

/** The first token as the entry reads it, and the second under `name`; where the second failed, the one before it stays. */
export function withSecondToken(answers: Answers, context: ReadingContext, name: string): TokenReading {
    const { main, further, receivedAt } = answers;
    const reading: TokenReading = {
        access_token: main['access_token'],
        refresh_token: main['refresh_token'],
        expires_in: main['expires_in'],
        raw: main,
    };
    const second = further['second'];
    if (second === undefined) {
        return reading;
    }
    if ('failure' in second) {
        const { kind, description } = second.failure;
        return {
            ...reading,
            ...(kind === 'transient' ? { renewBy: receivedAt + retryAfterMs } : {}),
            notes: [`The second token (${name}) was not obtained, the one before it is kept: ${description}`],
        };
    }
    return { ...reading, ...storedAs(name, second, context) };
}

function storedAs(name: string, { answer, requestedAt }: Exclude<Further, { failure: unknown }>, { connectionConfig }: ReadingContext) {
    const accessToken = textOf(answer['access_token']);
    if (accessToken === undefined) {
        return { notes: [`The answer for the second token (${name}) holds none; the one before it is kept.`] };
    }
    const expiresAt = parseExpiresIn(answer['expires_in'], requestedAt);
    // R6: as for the first
    const refreshToken = textOf(answer['refresh_token']) ?? secondRefreshToken(connectionConfig, name);
    return {
        config: {
            [name]: {
                access_token: accessToken,
                ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
                ...(expiresAt === null ? {} : { expires_at: new Date(expiresAt).toISOString() }),
            },
        },
        ...(expiresAt === null ? {} : { renewBy: expiresAt - effectiveMargin({ obtainedAt: requestedAt, expiresAt }) }),
    };
}

export function secondRefreshToken(connectionConfig: Readonly<Record<string, unknown>>, name: string): string | undefined {
    const stored = connectionConfig[name];
    return typeof stored === 'object' && stored !== null ? textOf((stored as Record<string, unknown>)['refresh_token']) : undefined;
}
