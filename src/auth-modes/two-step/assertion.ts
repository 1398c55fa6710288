/** What a login signs before its first call: `${credentials.assertion}`, and `${token}` of entries that sign a token of their own. */
import type { KeyObject } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { AssertionKeys } from '../../providers/mode-keys.ts';
import { interpolate, interpolateTree, type ExpressionValues, type ValueTree } from '../../providers/value-template.ts';
import type { ModeContext } from '../auth-mode.ts';
import { readPrivateKey } from '../private-key.ts';
import { LoginRefused } from './login-failure.ts';
import { samlExpiry, signSamlAssertion, type SamlOptions } from './saml-assertion.ts';
import { jwtExpiry, signJwt } from './signed-jwt.ts';

/** An assertion that nobody can renew is presented until shortly before its end. */
const smallestLifeMs = 60_000;
/** Of an entry that names no lifetime. */
const defaultSeconds = 3600;

/**
 * Signed anew for each exchange (N8). Without a key, the one that was submitted or stored, while it lives. `undefined`: the entry
 * has none. @throws LoginRefused
 */
export async function assertionFor({ provider, sources }: ModeContext, values: ExpressionValues): Promise<string | undefined> {
    const { assertion } = provider.entry;
    if (assertion === undefined) return undefined;
    const keyText = interpolate(assertion.key, values);
    if (!keyText) {
        const given = values.credentials?.['assertion'];
        const endsAt = typeof given === 'string' ? (jwtExpiry(given) ?? samlExpiry(given)) : undefined;
        if (endsAt !== undefined && endsAt - sources.now() > smallestLifeMs) return given as string;
        throw new LoginRefused(
            'permanent',
            `There is no key to sign another assertion with (${fieldIn(assertion.key)}): the account must be connected again.`,
        );
    }
    const key = privateKey(keyText, fieldIn(assertion.key));
    const longest = Number(assertion.lifetimeInSeconds ?? defaultSeconds);
    return assertion.type === 'jwt'
        ? signed(
              signJwt({ header: textsOf(assertion.header, values), claims: claimsOf(assertion.payload, values), key, longest }, sources),
              assertion.key,
          )
        : signed(
              signSamlAssertion(samlOptions(assertion, values, longest), rsa(key, assertion.key), textOf(assertion, 'cert', values), sources),
              assertion.key,
          );
}

/** `undefined`: the entry signs none. @throws LoginRefused */
export async function selfSignedToken({ provider, sources }: ModeContext, values: ExpressionValues): Promise<string | undefined> {
    const { token, signature } = provider.entry;
    if (token?.signing_key === undefined) return undefined;
    const keyText = interpolate(token.signing_key, values);
    if (!keyText) throw new LoginRefused('unknown', `The key to sign the login with is missing (${fieldIn(token.signing_key)}).`);
    const key =
        signature?.protocol === 'HMAC'
            ? Buffer.from(keyText, signature.hmac_secret_encoding ?? 'hex')
            : privateKey(keyText, fieldIn(token.signing_key));
    const jwt = { header: textsOf(token.header, values), claims: claimsOf(token.payload, values), key, longest: token.expires_in_ms / 1000 };
    return signed(signJwt(jwt, sources), token.signing_key);
}

/** Libraries quote keys in what they say. */
async function signed(signing: Promise<string>, key: string): Promise<string> {
    try {
        return await signing;
    } catch {
        throw new LoginRefused('unknown', `The key does not fit what it has to sign (${fieldIn(key)}).`);
    }
}

/** Of an expression, what it names: the field that a person can correct. */
const fieldIn = (expression: string): string => /^\$\{(?:\w+\.)?([^}]+)\}$/.exec(expression)?.[1] ?? expression;

function privateKey(text: string, field: string): KeyObject {
    const key = readPrivateKey(text);
    if (key === undefined) throw new LoginRefused('unknown', `"${field}" is not an unencrypted private key in PEM form.`);
    return key;
}

function rsa(key: KeyObject, expression: string): KeyObject {
    if (key.asymmetricKeyType !== 'rsa') throw new LoginRefused('unknown', `"${fieldIn(expression)}" is not an RSA key.`);
    return key;
}

const textsOf = (map: Readonly<Record<string, string>> = {}, values: ExpressionValues): Record<string, string> =>
    (interpolateTree(map, values) as Record<string, string> | undefined) ?? {};

/** A claim that does not resolve, or resolves to nothing, is left out: an optional credential was not given. */
function claimsOf(map: Readonly<Record<string, ValueTree | readonly string[]>> = {}, values: ExpressionValues): JWTPayload {
    const claims = (interpolateTree(map as ValueTree, values) ?? {}) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(claims).filter(([, claim]) => claim !== ''));
}

type SamlText =
    | 'issuer'
    | 'recipient'
    | 'nameIdentifier'
    | 'nameIdentifierFormat'
    | 'sessionIndex'
    | 'authnContextClassRef'
    | 'inResponseTo'
    | 'uid'
    | 'cert';

const textOf = (assertion: AssertionKeys, name: SamlText, values: ExpressionValues): string | undefined =>
    interpolate(assertion[name] ?? '', values) || undefined;

function samlOptions(assertion: AssertionKeys, values: ExpressionValues, longest: number): SamlOptions {
    const optional = (name: SamlText): string | undefined => textOf(assertion, name, values);
    const required = (name: SamlText): string => {
        const text = optional(name);
        if (text === undefined) throw new LoginRefused('unknown', `A value for the assertion is missing: "${fieldIn(assertion[name] ?? name)}".`);
        return text;
    };
    return {
        issuer: required('issuer'),
        nameIdentifier: required('nameIdentifier'),
        recipient: required('recipient'),
        audiences: interpolateTree([assertion.audiences ?? []].flat(), values) as string[],
        attributes: (interpolateTree(assertion.attributes ?? {}, values) ?? {}) as SamlOptions['attributes'],
        sessionIndex: optional('sessionIndex'),
        nameIdentifierFormat: optional('nameIdentifierFormat'),
        authnContextClassRef: optional('authnContextClassRef'),
        inResponseTo: optional('inResponseTo'),
        uid: optional('uid'),
        typedAttributes: `${assertion.typedAttributes ?? true}` === 'true',
        includeAttributeNameFormat: `${assertion.includeAttributeNameFormat ?? true}` === 'true',
        longest,
    };
}
