/** The little Markdown that descriptions are written in: headings, paragraphs, lists, fenced code, and emphasis, code and links in a line. */
import { codeBlock } from './code.ts';
import { html, type Html, type Part } from './html.ts';

export function markdown(text: string): Html {
    return html`${blocksOf(text).map(block)}`;
}

/** What headings of a text are linked by. */
export const slug = (heading: string): string => heading.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

/** Text between blank lines; a fence keeps its own. */
const blocksOf = (text: string): string[] => text.match(/^```[^]*?^```$|(?:(?!^```).+\n?)+/gm) ?? [];

function block(text: string): Html {
    const fence = /^```(\w*)\n([^]*?)\n?```$/.exec(text);
    if (fence !== null) {
        return codeBlock(fence[2]!, { label: 'Example' });
    }
    const heading = /^##+ (.+)$/m.exec(text);
    if (heading !== null) {
        return html`<h2 id="${slug(heading[1]!)}">${line(heading[1]!)}</h2>`;
    }
    if (/^[-*] /.test(text)) {
        const items = text.split(/^[-*] /m).slice(1);
        return html`<ul>
            ${items.map((item) => html`<li>${line(item)}</li>`)}
        </ul>`;
    }
    return html`<p>${line(text)}</p>`;
}

const inline = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\(((?:https?:\/\/|#|\/)[^)\s]*)\)/g;

/** One line's worth, without a paragraph around it. */
export function line(text: string): Html {
    const parts: Part[] = [];
    let end = 0;
    for (const match of text.trim().matchAll(inline)) {
        const [all, code, strong, emphasis, label, address] = match;
        parts.push(text.trim().slice(end, match.index));
        end = match.index + all.length;
        parts.push(
            code !== undefined
                ? html`<code>${code}</code>`
                : strong !== undefined
                  ? html`<strong>${strong}</strong>`
                  : emphasis !== undefined
                    ? html`<em>${emphasis}</em>`
                    : html`<a href="${address}">${label}</a>`,
        );
    }
    return html`${parts}${text.trim().slice(end)}`;
}
