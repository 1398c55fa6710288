/** HTML by hand: text is escaped where it is inserted, styles and scripts carry the nonce of their page. */
import type { Answer } from '../twin.ts';

export class Html {
    readonly text: string;
    constructor(text: string) {
        this.text = text;
    }
    toString(): string {
        return this.text;
    }
}

type Insertable = Html | string | number | undefined | readonly Insertable[];

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

const insert = (value: Insertable): string =>
    value === undefined
        ? ''
        : value instanceof Html
          ? value.text
          : typeof value === 'object'
            ? value.map(insert).join('')
            : String(value).replace(/[&<>"']/g, (character) => entities[character]!);

/** A template whose values are escaped, unless they are HTML already. */
export const html = (strings: TemplateStringsArray, ...values: Insertable[]): Html =>
    new Html(strings.map((text, index) => text + (index < values.length ? insert(values[index]) : '')).join(''));

export interface Page {
    readonly title: string;
    readonly body: Html;
    readonly nonce: string;
    readonly script?: string;
    readonly status?: number;
}

export function page({ title, body, nonce, script, status = 200 }: Page): Answer {
    const text = html`<!doctype html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <title>${title}</title>
                <link rel="icon" href="data:," />
                <style nonce="${nonce}">
                    ${new Html(style)}
                </style>
            </head>
            <body>
                ${body} ${script === undefined ? '' : new Html(`<script nonce="${nonce}">${script}</script>`)}
            </body>
        </html> `;
    const policy = `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`;
    return {
        status,
        headers: {
            'content-type': 'text/html; charset=utf-8',
            'content-security-policy': policy,
            'referrer-policy': 'no-referrer',
            'x-content-type-options': 'nosniff',
            'cache-control': 'no-store',
        },
        body: text.text,
    };
}

const style = `
:root { color-scheme: light dark; --ground: light-dark(#f5f6f8, #12151a); --card: light-dark(#fff, #1b2027); --ink: light-dark(#1b2330, #e7ebf0);
  --soft: light-dark(#5b6675, #9aa6b5); --line: light-dark(#dfe3e9, #2d3540); --accent: light-dark(#2357c9, #85b0ff); --on-accent: light-dark(#fff, #0c1526);
  --bad: light-dark(#b3261e, #ff9b93); --good: light-dark(#1c7a43, #7fd6a1); --warn: light-dark(#8a5a00, #f0c26a); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
a { color: var(--accent); }
a:focus-visible, button:focus-visible, input:focus-visible, summary:focus-visible, select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .25rem; text-wrap: balance; }
h2 { font-size: 1.02rem; margin: 0 0 .75rem; }
p { margin: 0 0 .75rem; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.badge { display: inline-block; padding: .1rem .5rem; border-radius: 1rem; border: 1px solid currentColor; color: var(--warn); font-size: .8rem; font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; }
.consent { max-width: 27rem; margin: 8vh auto 2rem; padding: 0 1rem; }
.consent .card { padding: 1.75rem; margin-bottom: 1rem; }
.consent ul { margin: 0 0 1rem; padding-left: 1.1rem; }
.consent dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem .9rem; margin: 1rem 0; font-size: .9rem; }
.consent dt { color: var(--soft); }
.consent dd { margin: 0; overflow-wrap: anywhere; }
.tile { width: 3rem; height: 3rem; border-radius: .7rem; display: grid; place-items: center; font-size: 1.4rem; font-weight: 700; background: var(--accent); color: var(--on-accent); margin-bottom: 1rem; }
.actions { display: flex; gap: .6rem; margin-top: 1.25rem; flex-wrap: wrap; }
.button { display: inline-block; font: inherit; font-weight: 600; padding: .55rem 1.1rem; border-radius: .5rem; border: 1px solid var(--line); background: transparent; color: var(--ink); text-decoration: none; cursor: pointer; }
.button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.wide { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
.head { display: flex; justify-content: space-between; align-items: end; gap: 1rem; flex-wrap: wrap; margin-bottom: 1.25rem; }
.columns { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 2fr) minmax(17rem, 1fr); align-items: start; }
@media (max-width: 60rem) { .columns { grid-template-columns: minmax(0, 1fr); } }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th { text-align: left; color: var(--soft); font-weight: 600; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td { padding: .45rem .6rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; color: var(--soft); }
.ok { color: var(--good); font-weight: 600; white-space: nowrap; }
.bad { color: var(--bad); font-weight: 600; white-space: nowrap; }
form.line { display: flex; gap: .5rem; margin-bottom: .75rem; }
input, select { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: .5rem; padding: .45rem .65rem; min-width: 0; flex: 1; }
.switches { display: grid; gap: .35rem; }
.switches label { display: grid; grid-template-columns: auto 1fr; gap: .55rem; align-items: start; font-size: .9rem; }
.switches input { flex: none; margin-top: .3rem; accent-color: var(--accent); }
.list { list-style: none; margin: 0; padding: 0; max-height: 26rem; overflow: auto; }
.list li { display: flex; justify-content: space-between; gap: .75rem; padding: .3rem 0; border-bottom: 1px solid var(--line); font-size: .9rem; }
.stack { display: grid; gap: 1.25rem; grid-template-columns: minmax(0, 1fr); }
.line input { min-width: 0; }
`;
