/** Parameters and headers that several exceptions share, under the names RFC 6749 gives them. */
import { createHmac } from 'node:crypto';
import type { Answer, CodeExchange, ExceptionContext, Renewal } from './token-exception.ts';

export const codeGrant = ({ code, redirectUri, extraParams }: CodeExchange): Record<string, string> => ({
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    ...extraParams,
});

export const refreshGrant = ({ refreshToken, extraParams }: Renewal): Record<string, string> => ({
    grant_type: 'refresh_token',
    refresh_token: refreshToken ?? '',
    ...extraParams,
});

/** Client authentication in the body; exactly one kind per request (N7). */
export const clientParams = ({ clientId, clientSecret }: ExceptionContext): Record<string, string> => ({
    client_id: clientId,
    client_secret: clientSecret,
});

/** Client authentication in the header, both halves form-encoded (RFC 6749 §2.3.1). */
export const basicHeader = (id: string, secret: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`).toString('base64')}`,
});

const formEncoded = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1);

/** RFC 2104, as hex text. */
export const hmacSha256 = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex');

/** The object under a name; empty where there is none. */
export function member(answer: Answer, name: string): Answer {
    const value = answer[name];
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Answer) : {};
}

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** A refusal in a provider's own terms, as a sentence: its code under the name it has there, and what else it says. */
export const refusalText = (name: string, code: unknown, ...texts: readonly unknown[]): string =>
    [`${name} ${typeof code === 'number' ? String(code) : (textOf(code) ?? '?')}`, ...texts.filter((text) => textOf(text) !== undefined)].join(': ');
