/**
 * SIGNATURE: a WSSE user name token (OASIS WS-Security UsernameToken Profile 1.0 §3.1, in Emarsys' dialect), made here from
 * what was typed in whenever somebody needs one (auth-modes §11.1, R8).
 */
import { createHash } from 'node:crypto';
import type { SignatureCredentials } from '../credentials/credential.ts';
import type { Sources } from '../sources.ts';
import { ConnectFailure, submittedText, type AuthMode, type SignedHere, type SigningContext } from './auth-mode.ts';
import { testCredentials } from './credential-test.ts';

export const signature: AuthMode = {
    name: 'SIGNATURE',
    direct: {
        create: async (input) => {
            const draft: SignatureCredentials = {
                type: 'SIGNATURE',
                username: submittedText(input, 'username'),
                password: submittedText(input, 'password'),
                token: '',
                expires_at: '',
            };
            const { credentials, obtainedAt } = sign(input, draft);
            const tested = await testCredentials(input, credentials);
            // The token dies, what it is made of does not.
            return { credentials, obtainedAt, expiresAt: null, ...tested };
        },
    },
    sign: (context, credentials) => Promise.resolve(sign(context, credentials as SignatureCredentials)),
};

function sign({ provider, sources }: SigningContext, stored: SignatureCredentials): SignedHere {
    const { signature: method, token } = provider.entry;
    if (method?.protocol !== 'WSSE') {
        throw new ConnectFailure('missing_signature_type', `The entry of ${provider.displayName} does not say how tokens are signed.`);
    }
    if (token === undefined) {
        throw new ConnectFailure('missing_token_body', `The entry of ${provider.displayName} does not say what a token is made of.`);
    }
    // It stands between quotes in a header.
    if (/["\\]|\p{Cc}/u.test(stored.username)) {
        throw new ConnectFailure('invalid_credentials', 'The username must not contain quotes, backslashes or control characters.');
    }
    const obtainedAt = sources.now();
    const expiresAt = obtainedAt + token.expires_in_ms;
    const credentials = { ...stored, token: wsseToken(stored, sources), expires_at: new Date(expiresAt).toISOString() };
    return { credentials, obtainedAt, expiresAt };
}

export function wsseToken({ username, password }: Pick<SignatureCredentials, 'username' | 'password'>, sources: Sources): string {
    const nonce = sources.random(16).toString('hex');
    const created = new Date(sources.now()).toISOString();
    // Of the digest's hexadecimal text, not of its bytes: so Emarsys wants it.
    const digest = Buffer.from(createHash('sha1').update(`${nonce}${created}${password}`, 'utf8').digest('hex')).toString('base64');
    return `UsernameToken Username="${username}", PasswordDigest="${digest}", Nonce="${nonce}", Created="${created}"`;
}
