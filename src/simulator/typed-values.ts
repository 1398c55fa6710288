/** Credentials that a person typed, among the values a request was made of. */
import type { Bindings } from './text-template.ts';

const short: ReadonlySet<string> = new Set(['apiKey', 'username', 'password']);
/** Given by an earlier answer, not typed. */
const answered = /^(?:token$|raw\b|_cookies$|assertion$)/;

/** By their plain names. */
export function typedValues(bindings: Bindings): Record<string, string> {
    return Object.fromEntries(
        Object.entries(bindings).flatMap(([name, value]) => {
            const plain = name.replace(/^credentials\./, '');
            const isTyped = (name !== plain || short.has(name)) && !answered.test(plain);
            return isTyped ? [[plain, value] as const] : [];
        }),
    );
}
