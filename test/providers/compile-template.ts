import { compileField } from '../../src/providers/field-rule.ts';
import type { ProviderField } from '../../src/providers/field-rule.ts';
import { compileUrlTemplate } from '../../src/providers/url-template.ts';
import type { UrlTemplate } from '../../src/providers/url-template.ts';

export type Fields = Record<string, Partial<ProviderField>>;

/** A template over connection configuration with the given fields declared, as a built-in entry would. */
export function compile(source: string, fields: Fields = {}, plainHttpHost?: string): UrlTemplate {
    const rules = new Map(Object.entries(fields).map(([name, field]) => [name, compileField(name, { type: 'string', ...field }, true)]));
    return compileUrlTemplate(source, {
        connectionConfig: rules,
        credentials: new Map(),
        isPlainHttpAllowed: (hostname) => hostname === plainHttpHost,
    });
}
