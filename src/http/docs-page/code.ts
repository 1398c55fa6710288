/** Blocks of code. The colours come with short elements, because an example has many words. */
import { html, type Html, type Part } from './html.ts';

/** @param label what a screen reader calls the block, which can be scrolled by keyboard. */
export const codeBlock = (source: string, { label }: { label: string }): Html =>
    html`<figure class="code">
        <figcaption>${label}</figcaption>
        <pre tabindex="0" role="group" aria-label="${label}"><code>${coloured(source)}</code></pre>
    </figure>`;

/** A member's name, a text, a number or word, in JSON; quoted texts in a shell's line. */
const tokens = /("(?:[^"\\\n]|\\.)*")(\s*:)|"(?:[^"\\\n]|\\.)*"|(?<=-H )'[^'\n]*'|(?<=[\s[:])(?:true|false|null|-?\d+(?:\.\d+)?)(?=[\s,\]}]|$)/g;

function coloured(source: string): Part {
    const parts: Part[] = [];
    let end = 0;
    for (const match of source.matchAll(tokens)) {
        const [all, name, colon] = match;
        parts.push(source.slice(end, match.index));
        end = match.index + all.length;
        parts.push(name !== undefined ? html`<b>${name}</b>${colon}` : /^["']/.test(all) ? html`<i>${all}</i>` : html`<u>${all}</u>`);
    }
    return [...parts, source.slice(end)];
}
