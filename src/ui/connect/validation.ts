/** Whether a value may be sent, and how a pasted one becomes what the provider expects (frontend contract §3.3, §7.24 to 27). */
import type { Field } from './fields.ts';

export type Fault = 'required' | 'choice' | 'hostname' | 'uuid' | 'uri' | 'email' | 'pattern';

const formats: Readonly<Record<NonNullable<Field['format']>, (value: string) => boolean>> = {
    hostname: (value) => /^[a-zA-Z0-9.-]+$/.test(value),
    // Providers hand out ids that no RFC version knows.
    uuid: (value) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value),
    uri: (value) => /^https?:\/\//i.test(value) && URL.canParse(value),
    // As `input type=email` has it.
    email: (value) =>
        /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/.test(
            value,
        ),
};

/** What is wrong with a value as `normalised` leaves it. A preset is judged, though nobody can see it; what the entry hides is not. */
export function faultOf(field: Field, value: string): Fault | undefined {
    if (field.isWithheld || (field.isHidden && !field.isPreset)) return undefined;
    if (value === '') {
        const mayBeEmpty = field.isOptional || (field.defaultValue !== undefined && field.format === undefined && field.choices === undefined);
        return mayBeEmpty ? undefined : 'required';
    }
    if (field.choices && !field.choices.includes(value)) return 'choice';
    if (field.format && !formats[field.format](value)) return field.format;
    return field.pattern !== undefined && !matches(field.pattern, value) ? 'pattern' : undefined;
}

const compiled = new Map<string, RegExp | null>();

/** As written: anchoring is the author's business. One that this browser cannot compile is left to the server. */
function matches(pattern: string, value: string): boolean {
    let expression = compiled.get(pattern);
    if (expression === undefined) {
        try {
            expression = new RegExp(pattern);
        } catch {
            expression = null;
        }
        compiled.set(pattern, expression);
    }
    return expression?.test(value) ?? true;
}

/** The value to send: without what the form shows around it, and without what a paste brings along. */
export function normalised(field: Field, raw: string): string {
    // A space may belong to a password. A preset is what the backend says, not what somebody pasted.
    if (field.name === 'password' || field.isPreset) return raw;
    const value = withoutAffixes(field, raw.trim());
    if (value === '' || faultOf(field, value) === undefined) return value;
    return readings(field, value).find((reading) => faultOf(field, reading) === undefined) ?? value;
}

function withoutAffixes({ prefix = '', suffix = '' }: Field, value: string): string {
    let bare = value;
    const scheme = /^https?:\/\//i.exec(bare)?.[0] ?? '';
    if (prefix !== '' && bare.toLowerCase().startsWith(prefix.toLowerCase())) {
        bare = bare.slice(prefix.length);
    } else if (scheme !== '' && (suffix !== '' || /^https?:\/\/$/i.test(prefix))) {
        bare = bare.slice(scheme.length);
    }
    const at = suffix === '' ? -1 : bare.toLowerCase().indexOf(suffix.toLowerCase());
    // `acme.example.com/settings` where `.example.com` is shown; not `acme.example.com.au`.
    if (at > 0 && /^(?:$|[/?#:])/.test(bare.slice(at + suffix.length))) {
        bare = bare.slice(0, at);
    } else if (suffix === '' && /^https?:\/\/$/i.test(prefix)) {
        bare = bare.replace(/\/+$/, '');
    }
    return bare === '' ? value : bare;
}

/** Other ways to understand a value that does not fit as it stands, the closest first. */
function* readings({ isMultiline, format }: Field, value: string): Generator<string> {
    if (isMultiline) {
        yield value.replaceAll('\r\n', '\n');
        // A key out of a JSON file, with or without its quotes.
        const unquoted = value.replace(/^"|",?$/g, '');
        yield unquoted;
        yield unquoted.replaceAll(String.raw`\n`, '\n').trim();
        const escaped = unquoted.replaceAll(/\r?\n/g, String.raw`\n`);
        yield escaped;
        yield String.raw`${escaped}\n`;
        return;
    }
    if (format === 'uri' && !value.includes('://')) yield `https://${value}`;
    const withoutScheme = value.replace(/^https?:\/\//i, '');
    yield value.replace(/\/+$/, '');
    yield withoutScheme;
    yield withoutScheme.replace(/[/?#].*$/, '');
    yield value.toLowerCase();
    yield withoutScheme.replace(/[/?#].*$/, '').toLowerCase();
}

/** The faults of a whole form, by the id of the field. */
export function faultsOf(fields: readonly Field[], values: Readonly<Record<string, string>>): Readonly<Record<string, Fault>> {
    return Object.fromEntries(
        fields.flatMap((field) => {
            const fault = faultOf(field, normalised(field, values[field.id] ?? ''));
            return fault === undefined ? [] : [[field.id, fault] as const];
        }),
    );
}
