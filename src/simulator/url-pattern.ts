/** URL templates of the catalogue as patterns: whether a URL is one of theirs, and with which values. */
import { alternatives, escapeRegExp, matchTemplate, parseTemplate } from './text-template.ts';
import type { Bindings } from './text-template.ts';

export interface UrlPattern {
    /** The host, where the template says which one. */
    readonly host: string | undefined;
    /** How much of host and path is said by the template: of two that match, the one that says more is meant. */
    readonly weight: readonly [host: number, path: number];
    match(url: URL): Bindings | undefined;
}

/** `isPrefix`: URLs below it match as well. */
export function urlPatterns(template: string, { isPrefix = false } = {}): UrlPattern[] {
    return alternatives(template).flatMap((alternative) => compile(alternative, isPrefix) ?? []);
}

/** What begins a template whose value is a whole address, scheme and all. */
const origin = /^\$\{[^}]+\}/;

function compile(template: string, isPrefix: boolean): UrlPattern | undefined {
    const isOrigin = origin.test(template);
    const written = isOrigin ? template : template.replace(/^https?:\/\//, '');
    const mark = written.indexOf('?');
    const address = (mark === -1 ? written : written.slice(0, mark)).replace(/#.*$/, '');
    const query = mark === -1 ? [] : [...new URLSearchParams(written.slice(mark + 1))];
    const slash = isOrigin ? address.search(/(?<=\})\//) : slashOutside(address);
    const hostText = slash === -1 ? address : address.slice(0, slash);
    const pathText = (slash === -1 ? '' : address.slice(slash)).replace(/\/$/, isPrefix ? '' : '/');

    const names: string[] = [];
    const host = patternOf(hostText, names, isOrigin ? 'origin' : 'host');
    const path = patternOf(pathText, names, 'path');
    if (host === undefined || path === undefined) return undefined;
    const expression = new RegExp(`^${host.source}${path.source}${isPrefix ? '(?:/.*)?' : path.source === '' ? '/?' : ''}$`);
    return {
        host: hostText.includes('${') ? undefined : hostText.toLowerCase(),
        weight: [host.weight, path.weight],
        match(url) {
            const found = expression.exec(`${isOrigin ? url.origin : url.host}${url.pathname}`);
            if (found === null) return undefined;
            let bindings: Bindings = {};
            for (const [index, name] of names.entries()) {
                const value = decode(found[index + 1]!);
                if (bindings[name] !== undefined && bindings[name] !== value) return undefined;
                bindings = { ...bindings, [name]: value };
            }
            for (const [name, text] of query) {
                const match = matchTemplate(text, url.searchParams.get(name) ?? '', bindings);
                if (match === undefined) return undefined;
                bindings = match.bindings;
            }
            return bindings;
        },
    };
}

/** The first slash that is not inside an expression. */
function slashOutside(text: string): number {
    let depth = 0;
    for (const [index, character] of [...text].entries()) {
        if (character === '{') depth += 1;
        if (character === '}') depth -= 1;
        if (character === '/' && depth === 0) return index;
    }
    return -1;
}

/** A value for a whole host may bring a port and a path along, where its field allows them. */
function patternOf(text: string, names: string[], place: 'origin' | 'host' | 'path'): { source: string; weight: number } | undefined {
    const parts = parseTemplate(text);
    const isWhole = parts.length === 1;
    let weight = 0;
    const sources: string[] = [];
    for (const part of parts) {
        if ('literal' in part) {
            weight += part.literal.length;
            sources.push(escapeRegExp(place === 'host' ? part.literal.toLowerCase() : part.literal));
        } else if ('name' in part) {
            names.push(part.name);
            const shape = place === 'origin' ? 'https?://[^?#]+?' : place === 'host' && isWhole ? '[^?#/]+(?:/[^?#]*?)??' : '[^/?#]+?';
            sources.push(`(${shape})`);
        } else {
            return undefined;
        }
    }
    return { source: sources.join(''), weight };
}

function decode(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}
