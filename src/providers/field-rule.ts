/**
 * What one declared field accepts: `enum`, `format`, `pattern` and a length cap (catalogue contract 7.3). Which fields a person
 * may set at all, and when an empty value is fine, is decided in `fields.ts`.
 */
import { compilePattern } from './pattern.ts';

/** One input of `connection_config`, `credentials`, `integration_config` or `assertion_option`, as the catalogue declares it. */
export interface ProviderField {
    readonly type: 'string';
    readonly title?: string;
    readonly description?: string;
    readonly format?: 'hostname' | 'uri' | 'uuid' | 'email';
    readonly pattern?: string;
    readonly enum?: readonly string[];
    readonly example?: string;
    readonly default_value?: string;
    readonly prefix?: string;
    readonly suffix?: string;
    readonly order?: number;
    readonly optional?: boolean;
    readonly secret?: boolean;
    readonly hidden?: boolean;
    readonly automated?: boolean;
    readonly doc_section?: string;
    readonly warnings?: Readonly<Record<string, string>>;
    readonly visible_when?: { readonly field: string; readonly equals: string };
}

export type FieldFault = 'too_big' | 'enum' | 'format' | 'pattern';

export interface FieldRule {
    readonly field: ProviderField;
    /** Longest accepted value, in characters. */
    readonly maxLength: number;
    /** What is wrong with a value, already trimmed and not empty; `undefined` when it fits. */
    fault(value: string): FieldFault | undefined;
    /** The field is written for values with several labels (`a.b`) in one host slot, and this is one of them. */
    declaresDots(value: string): boolean;
    /** The field is written for values with a port, and this is one of them. */
    declaresPort(value: string): boolean;
    /** The field is written for a host with a path behind it (`dev.azure.com/acme`), and this is one. */
    declaresPath(value: string): boolean;
}

/** Longest value of an ordinary field; a pattern is never run on more. */
export const maxValueLength = 4096;
/** Longest value of a setting of an integration (http-api §7.2). */
export const maxSettingLength = 8192;
/** Keys and certificates in PEM are longer. */
const maxKeyLength = 16_384;

/** @throws SyntaxError when `pattern` does not compile. */
export function compileField(name: string, field: ProviderField, isBuiltin: boolean, ordinaryLength = maxValueLength): FieldRule {
    const pattern = field.pattern === undefined ? undefined : compilePattern(field.pattern, isBuiltin);
    const choices = field.enum && new Set(field.enum);
    const maxLength = pattern === undefined && /key|certificate/i.test(name) ? maxKeyLength : ordinaryLength;
    return {
        field,
        maxLength,
        fault(value) {
            if (value.length > maxLength) return 'too_big';
            if (choices && !choices.has(value)) return 'enum';
            if (field.format !== undefined && !formats[field.format](value)) return 'format';
            return pattern && !pattern.matches(value) ? 'pattern' : undefined;
        },
        declaresDots(value) {
            if (choices) return choices.has(value);
            return pattern ? pattern.spans(value) : field.format === 'hostname';
        },
        declaresPort(value) {
            if (choices) return choices.has(value);
            return pattern !== undefined && mentionsPort(field.pattern ?? '') && pattern.spans(value);
        },
        declaresPath(value) {
            if (choices) return choices.has(value);
            return pattern !== undefined && withoutScheme(field.pattern ?? '').includes('/') && pattern.spans(value);
        },
    };
}

/** A colon that is neither a group's nor a scheme's can only stand for a port in a host or origin. */
function mentionsPort(pattern: string): boolean {
    return withoutScheme(pattern.replaceAll('(?:', '(')).includes(':');
}

const withoutScheme = (pattern: string): string => pattern.replace(/:(?:\\?\/){2}/g, '');

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The `input type=email` rule of the HTML standard. */
const email = /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

const formats: Record<NonNullable<ProviderField['format']>, (value: string) => boolean> = {
    hostname: (value) => /^[a-zA-Z0-9.-]+$/.test(value),
    uri: (value) => /^https?:\/\//i.test(value) && URL.canParse(value),
    uuid: (value) => uuid.test(value),
    email: (value) => email.test(value),
};
