/** The rules of a catalogue field, as its keys state them. */
import type { Field } from './entry.ts';

const formats: Readonly<Record<string, (value: string) => boolean>> = {
    hostname: (value) => /^[a-zA-Z0-9.-]+$/.test(value),
    uri: (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
    uuid: (value) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value),
    email: (value) => /^[^\s@]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(value),
};

/** The rule a value breaks. */
export function fieldFault(field: Field, value: string): 'enum' | 'format' | 'pattern' | 'required' | undefined {
    if (value === '') return mayBeEmpty(field) ? undefined : 'required';
    if (field.enum !== undefined && !field.enum.includes(value)) return 'enum';
    if (field.format !== undefined && formats[field.format]?.(value) === false) return 'format';
    if (field.pattern !== undefined && !compiled(field.pattern).test(value)) return 'pattern';
    return undefined;
}

export const mayBeEmpty = (field: Field): boolean =>
    field.optional === true || field.hidden === true || field.automated === true || field.default_value !== undefined;

const patterns = new Map<string, RegExp>();

function compiled(source: string): RegExp {
    const known = patterns.get(source);
    if (known !== undefined) return known;
    const pattern = new RegExp(source);
    patterns.set(source, pattern);
    return pattern;
}
