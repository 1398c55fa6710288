/**
 * Rules E01, E02 and E04: entries against `catalogue.schema.json`, and the validator's findings as sentences. The validator is
 * compiled once per process.
 */
import { createRequire } from 'node:module';
import type { Ajv2020 as Validator, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import schema from './catalogue.schema.json' with { type: 'json' };

export type EntryFault = { readonly path: string; readonly message: string };

interface Validators {
    readonly written: ValidateFunction;
    readonly resolved: ValidateFunction;
}

let validators: Validators | undefined;

function compiled(): Validators {
    if (validators) return validators;
    // Loaded when an entry has to be checked, which an ordinary start has not.
    const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as { Ajv2020: typeof Validator };
    // Union types and conditional branches without a type of their own are how the schema is meant to be written.
    // The schema itself is checked by a test, which saves compiling the meta-schema at every start.
    const ajv = new Ajv2020({ strictTypes: false, meta: false, validateSchema: false, code: { optimize: false } });
    const written = ajv.compile(schema);
    validators = { written, resolved: ajv.compile({ $ref: `${schema.$id}#/$defs/resolvedEntry` }) };
    return validators;
}

/** An entry as its author wrote it, alias or not. `undefined`: it fits. */
export function writtenFault(entry: unknown): EntryFault | undefined {
    return faultOf(compiled().written, entry);
}

/** An entry whose alias is expanded: its auth mode must have all it needs (E04). */
export function resolvedFault(entry: unknown): EntryFault | undefined {
    return faultOf(compiled().resolved, entry);
}

export function isSlug(text: string): boolean {
    return text.length <= schema.$defs.slug.maxLength && slug.test(text);
}

const slug = new RegExp(schema.$defs.slug.pattern);

function faultOf(validate: ValidateFunction, entry: unknown): EntryFault | undefined {
    if (validate(entry)) return undefined;
    // The validator lists the innermost finding first and what follows from it afterwards.
    const [error] = validate.errors ?? [];
    if (!error) return { path: '', message: 'does not fit the schema' };
    const path = error.instancePath.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
    return { path, message: advice(error) };
}

function advice(error: ErrorObject): string {
    const params = error.params as Record<string, unknown>;
    switch (error.keyword) {
        case 'additionalProperties':
            return `remove the key "${params['additionalProperty']}" or correct its spelling`;
        case 'required':
            return `add the key "${params['missingProperty']}"`;
        case 'enum':
            return `use one of ${(params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value)).join(', ')}`;
        case 'const':
            return `use ${JSON.stringify(params['allowedValue'])}`;
        case 'type':
            return `write ${[params['type']].flat().join(' or ')} here`;
        case 'not':
            return 'keep either credentials_verification_script or proxy.verification, not both';
        case 'pattern':
            return error.schemaPath.includes('/url/')
                ? 'write a URL that starts with https:// or with an expression, without spaces'
                : `write text that matches ${params['pattern']}`;
        case 'propertyNames':
            return `rename "${params['propertyName']}"`;
        default:
            return `${error.message}`;
    }
}
