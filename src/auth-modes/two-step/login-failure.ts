/** Why a login came to nothing. */
import { TokenFailure, type FailureDetails, type FailureKind } from '../../credentials/token-failure.ts';

export const failureType = 'two_step_credentials_fetch_error';

/** The provider was there and said no, or gave no token: what was typed in is the first suspect. */
export class LoginRefused extends TokenFailure {
    constructor(kind: FailureKind, description: string, details: Omit<FailureDetails, 'type'> = {}) {
        super(kind, description, { ...details, type: failureType });
    }
}

/** It was not there, or cannot be called in this way: nothing is known about the credentials. */
export const loginFailed = (kind: FailureKind, description: string, details: Omit<FailureDetails, 'type'> = {}): TokenFailure =>
    new TokenFailure(kind, description, { ...details, type: failureType });
