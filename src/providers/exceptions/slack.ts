import { parseExpiresIn } from '../../credentials/expiry.ts';
import { clientParams, member, textOf } from './grants.ts';
import type { Answer, Answers, ReadingContext, TokenException, TokenReading } from './token-exception.ts';

/** After an outage; a refused user token is asked for again when the bot's is due. */
const retryAfterMs = 5 * 60_000;

/**
 * Slack: one consent may bring a bot's token at the root and a user's under `authed_user`, each with its own refresh token.
 * Without a bot the user's is the token. The bot's half is renewed first; a failure of the other keeps what is stored of it.
 */
export const slack: TokenException = {
    refusal: ({ ok, error }) => (ok === false ? { code: textOf(error), description: textOf(error) } : undefined),
    refresh: async (given) => {
        const bot = await given.usual();
        const userToken = textOf(member(given.raw, 'authed_user')['refresh_token']);
        if (userToken === undefined || userToken === given.refreshToken || !hasBot(given.raw)) {
            return bot;
        }
        const user = await given.attempt({
            url: given.refreshUrl,
            form: { grant_type: 'refresh_token', refresh_token: userToken, ...clientParams(given) },
        });
        return { ...bot, further: { user } };
    },
    read: (answers, context) => (context.stored === undefined ? readBoth(answers.main, answers.requestedAt) : readRenewal(answers, context.stored)),
};

const hasBot = (raw: Answer): boolean => raw['access_token'] !== undefined;

/** The shorter life counts: both halves are renewed together. */
function readBoth(raw: Answer, requestedAt: number, userAskedAt = requestedAt): TokenReading {
    const user = member(raw, 'authed_user');
    if (!hasBot(raw)) {
        return { ...readOne(user), raw };
    }
    const ends = [parseExpiresIn(raw['expires_in'], requestedAt), parseExpiresIn(user['expires_in'], userAskedAt)].filter((end) => end !== null);
    return { ...readOne(raw), expires_in: undefined, ...(ends.length === 0 ? {} : { expires_at: Math.min(...ends) }), raw };
}

const readOne = (half: Answer): Pick<TokenReading, 'access_token' | 'refresh_token' | 'expires_in'> => ({
    access_token: half['access_token'],
    refresh_token: half['refresh_token'],
    expires_in: half['expires_in'],
});

function readRenewal({ main, further, requestedAt, receivedAt }: Answers, stored: NonNullable<ReadingContext['stored']>): TokenReading {
    const storedUser = member(stored.raw, 'authed_user');
    if (stored.raw['access_token'] === undefined && stored.raw['authed_user'] !== undefined) {
        const user = { ...storedUser, ...userHalf(main) };
        return { ...readOne(user), raw: { ...stored.raw, authed_user: user } };
    }
    const { authed_user: _ignored, ...bot } = main;
    const raw = { ...stored.raw, ...bot };
    const renewed = further['user'];
    if (renewed === undefined) {
        // There is no user, or one whose token does not end.
        return { ...readOne(main), raw };
    }
    if ('failure' in renewed || textOf(userHalf(renewed.answer)['access_token']) === undefined) {
        const { kind, description } = 'failure' in renewed ? renewed.failure : { kind: 'unknown', description: 'the answer holds no token' };
        return {
            // By the bot's life alone: the user's half is late already, and must not make the bot's renew all the time.
            ...readOne(main),
            raw,
            ...(kind === 'transient' ? { renewBy: receivedAt + retryAfterMs } : {}),
            notes: [`The user token was not renewed, the stored one is kept: ${description}`],
        };
    }
    const user = { ...storedUser, ...userHalf(renewed.answer) };
    return readBoth({ ...raw, authed_user: user }, requestedAt, renewed.requestedAt);
}

/** A refreshed user token comes at the root, or under `authed_user` as it did at first. */
function userHalf(answer: Answer): Answer {
    const nested = member(answer, 'authed_user');
    const source = nested['access_token'] === undefined ? answer : nested;
    return Object.fromEntries(
        ['access_token', 'refresh_token', 'expires_in', 'token_type', 'scope', 'id'].flatMap((name) =>
            source[name] === undefined ? [] : [[name, source[name]]],
        ),
    );
}
