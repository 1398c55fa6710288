/** Secrets that are never sent, where the request is by a sample account: with them hashes and signatures can be checked. */
import type { Bindings } from './text-template.ts';
import type { Call } from './twin.ts';

/** @param seen values that the request showed. Nothing, unless all of them are the sample's. */
export function sampleBindings({ world, entry }: Call, seen: Readonly<Record<string, string>>): Bindings {
    const { credentials, assertionOption } = world.samples.of(entry.slug);
    const isSample = Object.entries(seen).every(
        ([name, value]) => credentials[name] === value || credentials[name.split('.')[0]!]?.split(':')[0] === value,
    );
    if (!isSample || Object.keys(seen).length === 0) return {};
    return Object.fromEntries([
        ...Object.entries(credentials).flatMap(([name, value]) => {
            const [id, secret] = value.split(':');
            const halves = secret === undefined ? [] : [[`credentials.${name}.id`, id!] as const, [`credentials.${name}.secret`, secret] as const];
            return [[`credentials.${name}`, value] as const, ...halves];
        }),
        ...Object.entries(assertionOption).map(([name, value]) => [`assertionOption.${name}`, value] as const),
    ]);
}
