/** XML bodies of login calls: parameters → a document, a document → an object that paths lead into. */
import { createRequire } from 'node:module';
import type { ValueTree } from '../../providers/value-template.ts';

type Dom = typeof import('@xmldom/xmldom');

const declaration = '<?xml version="1.0" encoding="UTF-8"?>';
/** No login answer is nested deeper; a document made to exhaust the stack is. */
const deepest = 64;

/**
 * Members become elements, those named `$name` attributes of the element they stand in, and the one without a name its text.
 * Lists repeat their element.
 */
export const writeXml = (tree: Readonly<Record<string, ValueTree>>): string => `${declaration}${elements(tree)}`;

const elements = (members: Readonly<Record<string, ValueTree>>): string =>
    Object.entries(members)
        .filter(([name]) => !name.startsWith('$'))
        .map(([name, value]) => (Array.isArray(value) ? value.map((item) => element(name, item as ValueTree)).join('') : element(name, value)))
        .join('');

function element(name: string, value: ValueTree): string {
    if (typeof value !== 'object' || value === null) return `<${name}>${escaped(String(value ?? ''))}</${name}>`;
    const members = value as Readonly<Record<string, ValueTree>>;
    const attributes = Object.entries(members)
        .filter(([key]) => key.startsWith('$'))
        .map(([key, text]) => ` ${key.slice(1)}="${escaped(scalar(text))}"`);
    const content = members[''] === undefined ? elements(members) : escaped(scalar(members['']));
    return `<${name}${attributes.join('')}>${content}</${name}>`;
}

const scalar = (value: ValueTree): string => (typeof value === 'object' ? '' : String(value));

const references: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** For content and attributes alike; line breaks as references, since attributes lose them otherwise (XML 1.0 §3.3.3). */
const escaped = (text: string): string => text.replaceAll(/[&<>"]|[\t\n\r]/g, (char) => references[char] ?? `&#${char.charCodeAt(0)};`);

/**
 * Elements by their names without prefix: one that holds no others is its text, one that is repeated a list. Attributes of the
 * others are members named `$name`. `undefined`: not a document, or one with a DTD, which no API sends and attackers do.
 */
export function readXml(text: string): Record<string, unknown> | undefined {
    if (/<!DOCTYPE/i.test(text)) return undefined;
    // Loaded with the first XML answer, and at once: journalled answers are read synchronously.
    const { DOMParser } = createRequire(import.meta.url)('@xmldom/xmldom') as Dom;
    try {
        const refuse = (): never => {
            throw new Error('not well-formed');
        };
        const parser = new DOMParser({ errorHandler: { warning: refuse, error: refuse, fatalError: refuse } });
        const root = parser.parseFromString(text, 'text/xml')?.documentElement;
        return root ? Object.fromEntries([[root.localName ?? root.nodeName, valueOf(root, 0)]]) : undefined;
    } catch {
        return undefined;
    }
}

function valueOf(node: Element, depth: number): unknown {
    const children = Array.from(node.childNodes).filter((child): child is Element => child.nodeType === node.ELEMENT_NODE);
    if (children.length === 0) return (node.textContent ?? '').trim();
    if (depth === deepest) throw new Error('nested too deeply');
    const attributes = Array.from(node.attributes).map(({ name, value }): [string, unknown] => [`$${name}`, value]);
    const named = Map.groupBy(children, (child) => child.localName ?? child.nodeName);
    const members = [...named].map(([name, [first, ...others]]): [string, unknown] => [
        name,
        others.length === 0 ? valueOf(first!, depth + 1) : [first!, ...others].map((child) => valueOf(child, depth + 1)),
    ]);
    return Object.fromEntries([...attributes, ...members]);
}
