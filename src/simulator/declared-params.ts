/** Parameters and headers that an entry declares, checked against those that arrived. Other parameters are the sender's business. */
import { fieldFault, mayBeEmpty } from './field-rules.ts';
import { invalidRequest, type Refusal } from './refusal.ts';
import { alternatives, holds, matchTemplate, namesIn, type Bindings, type Computed } from './text-template.ts';
import type { Call } from './twin.ts';

/** What a request was made of, as far as it has been read. */
export interface Reading {
    readonly bindings: Bindings;
    readonly computed: readonly Computed[];
}

export const startReading = ({ bindings }: Pick<Call, 'bindings'>): Reading => ({ bindings, computed: [] });

/** @param declared values may be maps, of which each leaf is a template. @throws Refusal naming the parameter */
export function readParams(
    call: Call,
    declared: Readonly<Record<string, unknown>>,
    actual: Readonly<Record<string, unknown>>,
    reading: Reading,
    { what = 'parameter', refuse = invalidRequest }: { what?: string; refuse?: (why: string) => Refusal } = {},
): Reading {
    let now = reading;
    for (const [name, template] of Object.entries(declared)) {
        const value = actual[name];
        if (typeof template === 'object' && template !== null) {
            if (typeof value !== 'object' || value === null) throw refuse(`The ${what} "${name}" must hold further ${what}s.`);
            now = readParams(call, template as Record<string, unknown>, value as Record<string, unknown>, now, { what, refuse });
            continue;
        }
        const text = textOf(template);
        if (value === undefined || value === null) {
            if (mayBeAbsent(call, text)) continue;
            throw refuse(`The ${what} "${name}" is missing.`);
        }
        const match = matchTemplate(text, textOf(value), now.bindings);
        if (match === undefined) throw refuse(`The ${what} "${name}" is not what this provider asks for: ${hidden(text)}.`);
        now = { bindings: match.bindings, computed: [...now.computed, ...match.computed] };
    }
    return now;
}

/** Forms and XML have no other type than text; a JSON value that is declared as a boolean or a number must be one. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** An expression in prose. */
const hidden = (template: string): string => (template.length > 80 ? `${template.slice(0, 80)}…` : template);

/** An item whose expression has no value is left out, and a value may be missing where its field allows it. */
export function mayBeAbsent(call: Call, template: string): boolean {
    return alternatives(template).every((alternative) =>
        namesIn(alternative).some((name) => {
            const [root, ...rest] = name.split('.');
            const key = rest.join('.');
            const { connection_config, credentials } = call.entry;
            const field = root === 'connectionConfig' ? connection_config?.[key] : root === 'credentials' ? credentials?.[key] : undefined;
            // A name that nothing declares comes from an answer or a preset.
            return root === 'connectionConfig' ? field === undefined || mayBeEmpty(field) : field !== undefined && mayBeEmpty(field);
        }),
    );
}

/** Each configuration value fits its field. @throws Refusal */
export function assertConfigFits(call: Call, { bindings }: Reading): void {
    for (const [name, value] of Object.entries(bindings)) {
        const field = name.startsWith('connectionConfig.') ? call.entry.connection_config?.[name.slice('connectionConfig.'.length)] : undefined;
        if (field !== undefined && value !== '' && fieldFault(field, value) !== undefined) {
            throw invalidRequest(`The value of "${name.slice('connectionConfig.'.length)}" does not fit its field.`);
        }
    }
}

/** Hashes and signatures over values that are known by now. @throws Refusal */
export function assertComputed({ computed, bindings }: Reading, known: Bindings, refuse: (why: string) => Refusal): void {
    for (const item of computed) {
        if (holds(item, { ...known, ...bindings }) === false) throw refuse('A signature or digest in the request is not the right one.');
    }
}
