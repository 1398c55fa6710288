/**
 * The healthy half of `faulty-token-server.ts`: issues codes and rotating refresh tokens, and counts how often each refresh
 * token is presented. One presented twice kills its whole grant (RFC 9700 §4.14.2).
 */
import { createHash, randomBytes } from 'node:crypto';

export interface Tokens {
    access_token: string;
    refresh_token: string;
    token_type: 'Bearer';
    /** Seconds. */
    expires_in: number;
    scope: string;
}

/** One refresh token: the `generation`th of its grant, counted from 0. */
export interface RefreshTokenRecord {
    grant: number;
    generation: number;
    token: string;
    /** When it was presented in a request that redeems, in milliseconds since the epoch. Two entries are one too many. */
    presented: number[];
}

export interface TokenIssuer {
    clientId: string;
    clientSecret: string;
    /** Every refresh token ever issued, oldest first. */
    refreshTokens: readonly RefreshTokenRecord[];
    /** A new grant's first tokens. */
    issueTokens(scope: string): Tokens;
    /** A code for one authorization request; good for one exchange. */
    issueCode(code: Code): string;
    /**
     * What a healthy token endpoint answers to these parameters and this `Authorization` header.
     * @param rotate false: a refresh leaves the presented token good, and answers without one.
     */
    redeem(params: Record<string, string>, authorization: string | undefined, rotate?: boolean): TokenAnswer;
    /** Seconds; for tokens issued from now on. */
    setExpiresIn(seconds: number): void;
}

interface Grant {
    id: number;
    scope: string;
    alive: boolean;
    generations: number;
}

export interface Code {
    scope: string;
    /** S256 (RFC 7636 §4.2); none, no check. */
    challenge: string | undefined;
    redirectUri: string;
}

export type TokenAnswer = { status: 200; body: Partial<Tokens> } | { status: 400 | 401; body: { error: string; error_description: string } };

export function createTokenIssuer(): TokenIssuer {
    const clientId = 'faulty-client';
    const clientSecret = randomBytes(24).toString('hex');
    const refreshTokens: RefreshTokenRecord[] = [];
    const byToken = new Map<string, RefreshTokenRecord>();
    const grants: Grant[] = [];
    const codes = new Map<string, Code>();
    let expiresIn = 3_600;

    /** What a healthy token endpoint does (RFC 6749 §4.1.3, §6; RFC 7636 §4.6). */
    function redeem(params: Record<string, string>, authorization: string | undefined, rotate = true): TokenAnswer {
        if (!authenticated(params, authorization)) return refused(401, 'invalid_client', 'wrong client id or secret');
        if (params['grant_type'] === 'authorization_code') {
            const code = codes.get(params['code'] ?? '');
            codes.delete(params['code'] ?? '');
            if (!code || code.redirectUri !== params['redirect_uri']) return refused(400, 'invalid_grant', 'unknown code or redirect_uri');
            const challenge = createHash('sha256')
                .update(params['code_verifier'] ?? '')
                .digest('base64url');
            if (code.challenge !== undefined && code.challenge !== challenge) return refused(400, 'invalid_grant', 'wrong code_verifier');
            return { status: 200, body: newGrant(code.scope) };
        }
        if (params['grant_type'] !== 'refresh_token') return refused(400, 'unsupported_grant_type', 'code and refresh token only');
        const record = byToken.get(params['refresh_token'] ?? '');
        const grant = record && grants[record.grant];
        if (!record || !grant) return refused(400, 'invalid_grant', 'unknown refresh token');
        if (!rotate && grant.alive && record.presented.length === 0) {
            const { refresh_token: _, ...body } = tokens(grant, record.token);
            return { status: 200, body };
        }
        record.presented.push(Date.now());
        if (record.presented.length > 1) grant.alive = false;
        if (!grant.alive) return refused(400, 'invalid_grant', 'the grant is revoked: a refresh token was presented twice');
        return { status: 200, body: nextGeneration(grant) };
    }

    function authenticated(params: Record<string, string>, authorization: string | undefined): boolean {
        if (authorization === undefined) return params['client_id'] === clientId && params['client_secret'] === clientSecret;
        return authorization === `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    }

    function newGrant(scope: string): Tokens {
        const grant: Grant = { id: grants.length, scope, alive: true, generations: 0 };
        grants.push(grant);
        return nextGeneration(grant);
    }

    function nextGeneration(grant: Grant): Tokens {
        const generation = grant.generations++;
        const token = `refresh-${grant.id}-${generation}-${randomBytes(12).toString('hex')}`;
        const record = { grant: grant.id, generation, token, presented: [] };
        refreshTokens.push(record);
        byToken.set(token, record);
        return tokens(grant, token);
    }

    function tokens(grant: Grant, refreshToken: string): Tokens {
        return {
            access_token: `access-${grant.id}-${randomBytes(12).toString('hex')}`,
            refresh_token: refreshToken,
            token_type: 'Bearer',
            expires_in: expiresIn,
            scope: grant.scope,
        };
    }

    return {
        clientId,
        clientSecret,
        refreshTokens,
        issueTokens: newGrant,
        issueCode: (code) => {
            const value = randomBytes(16).toString('hex');
            codes.set(value, code);
            return value;
        },
        redeem,
        setExpiresIn: (seconds) => {
            expiresIn = seconds;
        },
    };
}

function refused(status: 400 | 401, error: string, error_description: string): TokenAnswer {
    return { status, body: { error, error_description } };
}
