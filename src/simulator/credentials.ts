/**
 * Which clients, keys and passwords the twins accept. Whoever types one in is believed the first time and remembered, so that
 * nobody needs a developer app; from then on the same identifier takes the same secret. A sample belongs to its own entry, a value
 * that calls itself wrong is refused, and one that breaks its field's rules is not a key of this provider.
 */
import type { Entry } from './entry.ts';
import { fieldFault } from './field-rules.ts';
import { unauthorized, type Refusal } from './refusal.ts';
import type { Samples } from './samples.ts';

export interface Presented {
    /** What tells one account from another: a client id, a user name. `undefined`: the secret is all there is. */
    readonly id: string | undefined;
    readonly secrets: Readonly<Record<string, string>>;
}

/** A person who wants to see a refusal types one of these. */
const wrongOnPurpose = /wrong|invalid/i;

export class Credentials {
    readonly #samples: Samples;
    readonly #remembered = new Map<string, string>();
    readonly #revoked = new Set<string>();

    constructor(samples: Samples) {
        this.#samples = samples;
    }

    /** Without remembering: for asking which of several entries a request is for. @throws Refusal made by `refuse` */
    check(entry: Entry, { id, secrets }: Presented, refuse: (why: string) => Refusal = unauthorized): void {
        const values = [...(id === undefined ? [] : [id]), ...Object.values(secrets)];
        for (const value of values) {
            if (wrongOnPurpose.test(value)) throw refuse('A credential says itself that it is wrong.');
            if (this.#revoked.has(`${entry.slug} ${value}`)) throw refuse('A credential was revoked.');
            const owner = this.#samples.ownerOf(value);
            if (owner !== undefined && owner !== entry.slug) throw refuse(`A credential is a sample of another provider, ${owner}.`);
        }
        for (const [name, value] of Object.entries(secrets)) {
            const field = entry.credentials?.[name];
            const fault = field === undefined ? undefined : fieldFault(field, value);
            if (fault !== undefined) throw refuse(`The credential "${name}" does not have the form that this provider's have (${fault}).`);
        }
        const isOwnSample = id !== undefined && this.#samples.ownerOf(id) === entry.slug;
        for (const [name, value] of Object.entries(secrets)) {
            if (isOwnSample && !this.#samples.isOwn(entry.slug, value)) throw refuse(`The credential "${name}" is not the one of this account.`);
            const remembered = id === undefined ? undefined : this.#remembered.get(keyOf(entry, id, name));
            if (remembered !== undefined && remembered !== value) {
                throw refuse(`The credential "${name}" is not the one this account was first seen with.`);
            }
        }
    }

    /** @throws Refusal */
    accept(entry: Entry, presented: Presented, refuse?: (why: string) => Refusal): void {
        this.check(entry, presented, refuse);
        if (presented.id === undefined) return;
        for (const [name, value] of Object.entries(presented.secrets)) {
            this.#remembered.set(keyOf(entry, presented.id, name), value);
        }
    }

    /** A secret that was seen together with this identifier, or is the sample's. */
    secretOf(entry: Entry, id: string, name: string): string | undefined {
        return this.#remembered.get(keyOf(entry, id, name)) ?? this.#samples.secretBeside(entry.slug, id);
    }

    /** For secrets that are never sent, such as an OAuth 1.0a consumer secret: told by a test, or by whoever wants it checked. */
    register(entry: Entry, id: string, name: string, secret: string): void {
        this.#remembered.set(keyOf(entry, id, name), secret);
    }

    /** Of the key that an account signs with, where somebody told. */
    publicKeyOf(entry: Entry, id: string): string | undefined {
        return this.#remembered.get(keyOf(entry, id, 'public_key')) ?? this.#samples.publicKeyOf(entry.slug, id);
    }

    revoke(slug: string, value: string): void {
        this.#revoked.add(`${slug} ${value}`);
    }
}

const keyOf = (entry: Entry, id: string, name: string): string => JSON.stringify([entry.slug, id, name]);
