/**
 * JWT (RFC 7519): a token signed here with the key that was typed in, whenever somebody needs one (auth-modes §9, R8). Header,
 * claims and key are the entry's templates over what was submitted.
 */
import type { KeyObject } from 'node:crypto';
import type { Credentials, JwtCredentials } from '../credentials/credential.ts';
import { parseTemplate, references } from '../providers/expression.ts';
import type { ProviderEntry } from '../providers/provider.ts';
import { interpolate, type ExpressionValues } from '../providers/value-template.ts';
import { newRandomId } from '../sources.ts';
import { ConnectFailure, type AuthMode, type SignedHere, type SigningContext } from './auth-mode.ts';
import { testCredentials } from './credential-test.ts';
import { readPrivateKey } from './private-key.ts';

/** R11: issuers whose clock is ahead of the provider's are refused. */
const backdatedSeconds = 30;

type Submitted = Readonly<Record<string, unknown>>;

export const jwt: AuthMode = {
    name: 'JWT',
    direct: {
        asTyped: joinPairs,
        create: async (input) => {
            const { type: _type, token: _token, expires_at: _expiresAt, ...submitted } = input.submitted;
            const { credentials, obtainedAt } = await sign(input, splitPairs(input.provider.entry, submitted));
            const tested = await testCredentials(input, credentials);
            // The token dies, the key that signs it does not.
            return { credentials, obtainedAt, expiresAt: null, ...tested };
        },
    },
    sign: (context, credentials: Credentials) => {
        const { type: _type, token: _token, expires_at: _expiresAt, ...submitted } = credentials as JwtCredentials;
        return sign(context, submitted);
    },
};

async function sign(context: SigningContext, submitted: Submitted): Promise<SignedHere> {
    const { provider, connectionConfig, sources } = context;
    const { signature, token } = provider.entry;
    if (signature === undefined) {
        throw new ConnectFailure('missing_signature_type', `The entry of ${provider.displayName} does not say how tokens are signed.`);
    }
    if (token?.signing_key === undefined || token.header?.['alg'] === undefined) {
        throw new ConnectFailure('missing_token_body', `The entry of ${provider.displayName} does not say what a token is made of.`);
    }
    const obtainedAt = sources.now();
    const values: ExpressionValues = { connectionConfig, credentials: submitted, now: obtainedAt, random: newRandomId(sources) };
    const issuedAt = Math.floor(obtainedAt / 1000) - backdatedSeconds;
    const expiry = issuedAt + Math.floor(token.expires_in_ms / 1000);
    const { SignJWT } = await import('jose');
    try {
        const text = interpolate(token.signing_key, values) ?? '';
        const key = signature.protocol === 'HMAC' ? hmacKey(text, signature.hmac_secret_encoding) : readPrivateKey(text);
        const signed = await new SignJWT(filled(token.payload ?? {}, values))
            .setProtectedHeader({ alg: token.header['alg'], ...filled(token.header, values) })
            .setIssuedAt(issuedAt)
            .setExpirationTime(expiry)
            .sign(assertKey(key));
        const expiresAt = expiry * 1000;
        const credentials: JwtCredentials = { ...submitted, type: 'JWT', token: signed, expires_at: new Date(expiresAt).toISOString() };
        return { credentials, obtainedAt, expiresAt };
    } catch {
        // What the libraries say may quote the key.
        const names = credentialNames([token.signing_key]).map((name) => `"${name}"`);
        throw new ConnectFailure('failed_to_sign', `No ${token.header['alg']} token can be signed with ${names.join(' and ')}.`);
    }
}

function assertKey<Key extends KeyObject | Uint8Array>(key: Key | undefined): Key {
    if (key === undefined) {
        throw new TypeError('not a key');
    }
    return key;
}

export function hmacKey(secret: string, encoding: 'hex' | 'utf8' = 'hex'): Uint8Array | undefined {
    const isReadable = encoding === 'utf8' ? secret !== '' : /^(?:[0-9a-f]{2})+$/i.test(secret);
    return isReadable ? Buffer.from(secret, encoding) : undefined;
}

/** Members whose value resolves. One that is a list is split at commas, and left out when nothing is in it. */
function filled<Value>(members: Readonly<Record<string, Value>>, values: ExpressionValues): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const [name, template] of Object.entries(members)) {
        const value = Array.isArray(template) ? listed(template, values) : typeof template === 'string' ? interpolate(template, values) : template;
        if (value !== undefined) {
            found[name] = value;
        }
    }
    return found;
}

function listed(templates: readonly unknown[], values: ExpressionValues): string[] | undefined {
    const items = templates
        .flatMap((template) => (interpolate(String(template), values) ?? '').split(','))
        .map((item) => item.trim())
        .filter((item) => item !== '');
    return items.length === 0 ? undefined : items;
}

const credentialNames = (templates: readonly string[]): string[] =>
    templates.flatMap((template) =>
        parseTemplate(template)
            .flatMap(references)
            .filter(({ root }) => root === 'credentials')
            .map(({ name }) => name),
    );

/** A4: the entry's templates alone say which key is handed out as `id:secret`: the one whose halves they ask for. */
function splitPairs({ token }: ProviderEntry, submitted: Submitted): Record<string, unknown> {
    const names = new Set(credentialNames([token?.signing_key ?? '', ...Object.values(token?.header ?? {})]));
    return Object.fromEntries(
        Object.entries(submitted).map(([name, value]) => {
            const isPair = typeof value === 'string' && names.has(`${name}.id`) && names.has(`${name}.secret`);
            const colon = isPair ? value.indexOf(':') : -1;
            return [name, isPair && colon >= 0 ? { id: value.slice(0, colon), secret: value.slice(colon + 1) } : value];
        }),
    );
}

/** The other way round, for the entry's rules: they are written for what a person types. */
function joinPairs(submitted: Submitted): Submitted {
    return Object.fromEntries(
        Object.entries(submitted).map(([name, value]) => {
            const pair: Submitted = typeof value === 'object' && value !== null ? { ...value } : {};
            const { id, secret } = pair;
            return [name, typeof id === 'string' && typeof secret === 'string' ? `${id}:${secret}` : value];
        }),
    );
}
