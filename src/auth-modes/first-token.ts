/** Credentials that prove themselves: the call that renews them also makes them. */
import type { Credentials, Obtained } from '../credentials/credential.ts';
import type { RenewalStrategy } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { ConnectFailure } from './auth-mode.ts';

const tokenCallMs = 20_000;

/**
 * @param draft what was submitted, without a token
 * @param typeOf what a failure is called (http-api §12.2)
 * @throws ConnectFailure
 */
export async function obtainFirstToken(strategy: RenewalStrategy, draft: Credentials, typeOf: (failure: TokenFailure) => string): Promise<Obtained> {
    try {
        return strategy.interpret(await strategy.present(draft, undefined, tokenCallMs), draft);
    } catch (error) {
        throw error instanceof TokenFailure ? new ConnectFailure(typeOf(error), error.message) : error;
    }
}

/** A3: an outage says nothing about what was typed in. */
export const loginFailureType = ({ kind }: TokenFailure): string => (kind === 'transient' ? 'verification_unavailable' : 'invalid_credentials');
