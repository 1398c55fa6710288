/**
 * N1, for the whole catalogue: whatever stands in a placeholder of a URL, the request goes to the host that the entry names, or
 * the value is refused. What is expected is read off the template's text here, so that the compiler is not its own judge.
 */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadCatalogue } from '../../src/providers/catalogue.ts';
import { urlSources } from '../../src/providers/entry-texts.ts';
import { compileRules } from '../../src/providers/provider.ts';
import { compileUrlTemplate, TemplateError } from '../../src/providers/url-template.ts';
import type { TemplateField, UrlTemplate } from '../../src/providers/url-template.ts';
import { hostileValues } from './hostile-values.ts';

const catalogue = loadCatalogue({ builtin: fileURLToPath(new URL('../../providers.yaml', import.meta.url)), isPlainHttpAllowed: () => false });

interface Case {
    readonly where: string;
    readonly template: UrlTemplate;
    readonly field: TemplateField;
    readonly choices: readonly string[] | undefined;
    /** Harmless values of all fields. */
    readonly values: Readonly<Record<string, string>>;
}

/** One per placeholder; those that differ in nothing but their provider are one. */
function cases(): Case[] {
    const found = new Map<string, Case>();
    for (const { name, entry } of catalogue.entries()) {
        const options = { ...compileRules(entry, true), isPlainHttpAllowed: () => false };
        for (const { path, text } of urlSources(entry)) {
            for (const alternative of text.split(' || ')) {
                const template = compileUrlTemplate(alternative, options);
                const values = Object.fromEntries(
                    template.fields.map((field) => [field.name, harmless(field, options[field.root].get(field.name)?.field.enum)]),
                );
                for (const field of template.fields) {
                    const rule = options[field.root].get(field.name)?.field;
                    const key = `${alternative} ${field.name} ${JSON.stringify([rule?.pattern, rule?.format, rule?.enum])}`;
                    found.set(key, { where: `${name}.${path} ${field.name}`, template, field, choices: rule?.enum, values });
                }
            }
        }
    }
    return [...found.values()];
}

function harmless(field: TemplateField, choices: readonly string[] | undefined): string {
    const value = [...(choices ?? []), 'acme', 'a.example', 'https://a.example', '443'].find((candidate) => field.accepts(candidate));
    if (value === undefined) throw new Error(`nothing fits ${field.name}`);
    return value;
}

/** Whether the request goes where the template lets it go, which may be up to the value if that is a plain host or origin. */
function isAllowed(url: URL, { template, field, choices }: Case, value: string): boolean {
    if (url.protocol !== 'https:' || url.username !== '' || url.password !== '' || url.hash !== '') return false;
    const [, scheme = '', host = ''] = /^(https:\/\/)?((?:\$\{[^}]*\}|[^/?])*)/.exec(template.source) ?? [];
    const name = host.replace(/:(?:\d+|\$\{[^}]*\})$/, '');
    const written = value.toLowerCase();
    if (scheme === '') {
        // A whole origin: a plain one, in the value as it is.
        return choices ? choices.some((choice) => url.href.startsWith(`${choice}/`)) : isWritten(url, written.replace(/^https:\/\//, ''));
    }
    if (!name.includes('${')) return url.hostname === name;
    if (/^\$\{[^}]*\}$/.test(name)) {
        if (field.kind !== 'host' && field.kind !== 'suffix-choice') return isPlain(url.hostname);
        if (choices) return choices.includes(value) && value.startsWith(url.hostname);
        return isWritten(url, written);
    }
    const suffix = name.slice(name.lastIndexOf('}') + 1);
    if (suffix !== '') return suffix.includes('.') && url.hostname.endsWith(suffix.slice(suffix.indexOf('.')));
    const prefix = name.slice(0, name.indexOf('$'));
    return field.kind === 'suffix-choice' ? (choices ?? []).includes(value) && url.hostname === prefix + value : url.hostname.startsWith(prefix);
}

/** The host is what the value begins with, up to a port or a path. */
const isWritten = (url: URL, value: string): boolean =>
    isPlain(url.hostname) && new RegExp(`^${url.hostname.replaceAll('.', '\\.')}(?::[0-9]+)?(?:/|$)`).test(value);

/** A name as it is written, or an IPv4 address in its one usual spelling: the egress policy judges it next. */
const isPlain = (hostname: string): boolean =>
    hostname.length <= 253 && hostname.split('.').every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label));

it('no value of any placeholder of any entry takes a request elsewhere', () => {
    const all = cases();
    const hostile = hostileValues();
    expect(hostile.length).toBeGreaterThanOrEqual(300);
    expect(all.length).toBeGreaterThanOrEqual(400);
    const escapes: string[] = [];
    let [built, refused] = [0, 0];
    for (const each of all) {
        for (const value of hostile) {
            const values = { ...each.values, [each.field.name]: value };
            try {
                const url = each.template.build({ connectionConfig: values, credentials: values });
                built += 1;
                if (!isAllowed(url, each, value)) escapes.push(`${each.where}: ${JSON.stringify(value)} → ${url.href}`);
            } catch (error) {
                if (!(error instanceof TemplateError)) throw error;
                refused += 1;
            }
        }
    }
    expect(escapes.slice(0, 20)).toEqual([]);
    // Neither of the two is what always happens.
    expect(built).toBeGreaterThan(10_000);
    expect(refused).toBeGreaterThan(100_000);
});
