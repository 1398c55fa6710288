/** Whatever a provider answers: it is read, or refused in so many words; it never is an error of ours. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readByException } from '../../../src/auth-modes/token-exceptions.ts';
import { TokenFailure } from '../../../src/credentials/token-failure.ts';
import { tokenExceptions } from '../../../src/providers/exceptions/index.ts';
import type { Answer, Further, ReadingContext } from '../../../src/providers/exceptions/token-exception.ts';
import { now } from './vendors.ts';

/** Names that the exceptions look at, so that chance finds them. */
const names = `access_token refresh_token expires_in expires_at access_token_expiration token refreshToken expiresAt data credentials authed_user
    accessToken expireTime BhRestToken restUrl active exp ok error code result message is_transient type __proto__ constructor`.split(/\s+/);
const value = fc.oneof(fc.constantFrom('0000', 'h.eyJ0aWQiOjF9.s', 'x.y.z', ''), fc.jsonValue({ maxDepth: 1 }));
const answer: fc.Arbitrary<Answer> = fc.dictionary(fc.constantFrom(...names), fc.oneof(value, fc.dictionary(fc.constantFrom(...names), value)));
const further: fc.Arbitrary<Further> = fc.oneof(
    answer.map((given) => ({ answer: given, requestedAt: now })),
    fc.constant({ failure: { kind: 'transient' as const, description: 'down' } }),
);
const furthers = fc.dictionary(fc.constantFrom('second', 'user', 'login', 'longLived', 'introspected'), further);
const context: fc.Arbitrary<ReadingContext> = fc.record(
    {
        connectionConfig: answer,
        stored: fc.record({
            accessToken: fc.string(),
            refreshToken: fc.option(fc.string(), { nil: undefined }),
            expiresAt: fc.constant(undefined),
            raw: answer,
        }),
        redirectUri: fc.constant('https://vk.example/oauth/callback'),
    },
    { requiredKeys: ['connectionConfig'] },
);

const exceptions = [...tokenExceptions];

describe('an answer is read or refused', () => {
    test.each(exceptions.flatMap(([name, { read }]) => (read ? [[name, read] as const] : [])))('%s', (_name, read) => {
        fc.assert(
            fc.property(answer, furthers, context, (main, more, given) => {
                const receipt = { status: 200, contentType: 'application/json', body: JSON.stringify(main), requestedAt: now, receivedAt: now };
                try {
                    const { credentials } = readByException(read, { ...receipt, further: more }, given);
                    expect(credentials.access_token).not.toBe('');
                } catch (error) {
                    expect(error).toBeInstanceOf(TokenFailure);
                }
            }),
        );
    });
});

describe('a refusal is text', () => {
    test.each(exceptions.flatMap(([name, { refusal }]) => (refusal ? [[name, refusal] as const] : [])))('%s', (_name, refusal) => {
        fc.assert(
            fc.property(answer, fc.integer({ min: 100, max: 599 }), (given, status) => {
                const { code = '', description = '' } = refusal(given, status) ?? {};
                expect([typeof code, typeof description]).toEqual(['string', 'string']);
            }),
        );
    });
});
