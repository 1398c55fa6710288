/** HTML from templates: every value is text and escaped, unless it came out of a template itself. */

export class Html {
    readonly text: string;

    constructor(text: string) {
        this.text = text;
    }
}

export type Part = Html | string | number | undefined | false | readonly Part[];

/** Line breaks and indentation of the template itself are the source's, not the page's. */
export function html(literals: TemplateStringsArray, ...parts: readonly Part[]): Html {
    const [first = '', ...rest] = literals.map((literal) => literal.replaceAll(/\n\s*/g, '\n'));
    return new Html(first + rest.map((literal, index) => toHtml(parts[index]) + literal).join(''));
}

export const joined = (parts: readonly Part[], separator: Part): Html => new Html(parts.map(toHtml).join(toHtml(separator)));

function toHtml(part: Part): string {
    if (part === undefined || part === false) {
        return '';
    }
    if (part instanceof Html) {
        return part.text;
    }
    return typeof part === 'string' || typeof part === 'number' ? escapeHtml(String(part)) : part.map(toHtml).join('');
}

const escapeHtml = (text: string): string =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
