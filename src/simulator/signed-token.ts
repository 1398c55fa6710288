/** JWTs that a sender signed as its entry's `token` or `assertion` declares (auth-modes §9, §10). */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { assertAssertion } from './assertions.ts';
import { assertComputed, readParams, type Reading } from './declared-params.ts';
import { typedValues } from './typed-values.ts';
import type { Refusal } from './refusal.ts';
import { sampleBindings } from './sample-bindings.ts';
import { fillTemplate } from './text-template.ts';
import type { Call } from './twin.ts';

export interface Declared {
    readonly header?: Readonly<Record<string, unknown>>;
    readonly payload?: Readonly<Record<string, unknown>>;
    /** A template. */
    readonly key: string | undefined;
    readonly lifetimeSeconds: number;
    readonly hmacEncoding?: string | undefined;
}

/** @returns the reading with the values that the token shows. @throws Refusal */
export async function assertSignedToken(
    call: Call,
    reading: Reading,
    jwt: string,
    declared: Declared,
    refuse: (why: string) => Refusal,
): Promise<Reading> {
    const algorithm = String(declared.header?.['alg']);
    const expected = { algorithms: [algorithm], longestSeconds: declared.lifetimeSeconds, keyOf: '' };
    const { header, claims } = await assertAssertion(call, jwt, { ...expected, key: undefined }, refuse);
    const inHeader = readParams(call, declared.header ?? {}, header as Record<string, unknown>, reading, { what: 'JWT header', refuse });
    // Lists are optional claims.
    const plain = Object.fromEntries(Object.entries(declared.payload ?? {}).filter(([, value]) => !Array.isArray(value)));
    const read = readParams(call, plain, claims, inHeader, { what: 'claim', refuse });

    const seen = typedValues(read.bindings);
    call.world.credentials.check(call.entry, { id: undefined, secrets: withoutParts(seen) }, refuse);
    const known = sampleBindings(call, seen);
    assertComputed(read, known, refuse);
    const key = keyFrom(fillTemplate(declared.key ?? '', known), algorithm, declared.hmacEncoding) ?? registeredKey(call, Object.values(seen));
    if (key !== undefined) await assertAssertion(call, jwt, { ...expected, key }, refuse);
    return { bindings: read.bindings, computed: [] };
}

/** `privateKey.id` is half of a field, and has no rule of its own. */
const withoutParts = (values: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(values).filter(([name]) => !name.includes('.')));

function keyFrom(text: string | undefined, algorithm: string, encoding = 'hex'): KeyObject | undefined {
    if (text === undefined || text === '') return undefined;
    return algorithm.startsWith('HS')
        ? createSecretKey(Buffer.from(text, encoding === 'utf8' ? 'utf8' : 'hex'))
        : createPublicKey(text.replaceAll(String.raw`\n`, '\n'));
}

function registeredKey({ world, entry }: Call, ids: readonly string[]): KeyObject | undefined {
    const pem = ids.map((id) => world.credentials.publicKeyOf(entry, id)).find((found) => found !== undefined);
    return pem === undefined ? undefined : createPublicKey(pem);
}
