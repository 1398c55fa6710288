/**
 * The API's description as a page to read: made once, on the server, from the same document that `/openapi.json` serves.
 * It loads one style and one small script, from here; without the script only search and copying are missing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint } from '../cacheable.ts';
import { operationsOf, type ApiDescription } from '../openapi/description.ts';
import { html, type Html } from './html.ts';
import { markdown, slug } from './markdown.ts';
import { methodLabel, OperationView, type Shown } from './operation-view.ts';

const files = { 'docs.css': ['base.css', 'frame.css', 'reference.css'], 'docs.js': ['docs.js'], 'docs.svg': ['docs.svg'] } as const;

export type AssetName = keyof typeof files;

export const readAsset = (name: AssetName): string => files[name].map((file) => readFileSync(join(import.meta.dirname, file), 'utf8')).join('\n');

interface Section {
    id: string;
    name: string;
    description: string;
    operations: Shown[];
}

/** @param publicUrl may have a path, under which a proxy serves all of this. */
export function docsPage(description: ApiDescription, publicUrl: string): string {
    const { info, servers } = description;
    const base = new URL(publicUrl).pathname.replace(/\/$/, '');
    const asset = (name: AssetName): string => `${base}/docs/${name}?v=${fingerprint(readAsset(name))}`;
    const sections = sectionsOf(description);
    const view = new OperationView(description);
    const page = html`<!doctype html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <title>${info.title} ${info.version}</title>
                <meta name="description" content="${info.summary}" />
                <link rel="icon" type="image/svg+xml" href="${asset('docs.svg')}" />
                <link rel="stylesheet" href="${asset('docs.css')}" />
                <script src="${asset('docs.js')}" defer></script>
            </head>
            <body>
                <a class="skip" href="#main">Skip to the content</a>
                <header class="top">
                    <button type="button" class="menu" popovertarget="contents">Contents</button>
                    <a class="brand" href="#main">${mark}<span>${info.title}</span></a>
                    <span class="version">${info.version}</span>
                    <a class="file" href="${base}/openapi.json">OpenAPI<span> 3.1 document</span></a>
                </header>
                ${contents(description, sections)}
                <main id="main">
                    <div class="intro">
                        <h1>${info.title}</h1>
                        <p class="lead">${info.summary}</p>
                        <p class="server"><span>Base URL</span> <code>${servers[0]!.url}</code></p>
                        ${markdown(info.description)}${view.commonFailures()}
                    </div>
                    ${sections.map(
                        ({ id, name, description: said, operations }) =>
                            html`<section class="tag" id="${id}" aria-labelledby="${id}-title">
                                <div class="tag-head">
                                    <h2 id="${id}-title">${name}</h2>
                                    ${markdown(said)}
                                </div>
                                ${operations.map((shown) => view.article(shown))}
                            </section>`,
                    )}
                    <footer>
                        <p>
                            ${info.title} ${info.version}, ${info.license.name}. This page is made from the
                            <a href="${base}/openapi.json">OpenAPI document</a>.
                        </p>
                    </footer>
                </main>
            </body>
        </html> `;
    return page.text;
}

/** An operation's aliases are told with it. What is deprecated comes last. */
function sectionsOf(description: ApiDescription): Section[] {
    const all = operationsOf(description);
    return description.tags.map(({ name, description: said }) => ({
        id: slug(`about ${name}`),
        name,
        description: said,
        operations: all
            .filter(({ operation }) => operation.tags.includes(name) && operation['x-alias-of'] === undefined)
            .map((found) => ({
                ...found,
                aliases: all.filter(({ operation }) => operation['x-alias-of'] === found.operation.operationId).map(({ path }) => path),
            }))
            .toSorted((a, b) => Number(a.operation.deprecated ?? false) - Number(b.operation.deprecated ?? false)),
    }));
}

/** A popover where there is no room beside the text. */
function contents({ info }: ApiDescription, sections: readonly Section[]): Html {
    const chapters = [...[...info.description.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!), 'Common failures'];
    return html`<nav id="contents" popover aria-label="Contents">
        <label class="search" hidden
            ><span>Search</span><input type="search" placeholder="Search operations" autocomplete="off" spellcheck="false"
        /></label>
        <p class="none" role="status" hidden>No operation matches.</p>
        <ul class="chapters">
            ${chapters.map((heading) => html`<li><a href="#${slug(heading)}">${heading}</a></li>`)}
        </ul>
        ${sections.map(
            ({ id, name, operations }) =>
                html`<div class="group">
                    <a class="group-name" href="#${id}">${name}</a>
                    <ul>
                        ${operations.map(
                            ({ method, path, operation }) =>
                                html`<li data-text="${path.toLowerCase()}">
                                    <a href="#${operation.operationId}"
                                        >${methodLabel(method)}<span
                                            >${operation.summary}${operation.deprecated && html` <span class="deprecated">deprecated</span>`}</span
                                        ></a
                                    >
                                </li>`,
                        )}
                    </ul>
                </div>`,
        )}
    </nav>`;
}

/** A key that is handed over. */
const mark = html`<svg
    viewBox="0 0 24 24"
    width="24"
    height="24"
    fill="none"
    stroke="currentColor"
    stroke-width="2"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
>
    <circle cx="8" cy="15" r="4.5" />
    <path d="M11.3 11.7 20 3M16 7l3 3M13.5 9.5l2 2" />
</svg>`;
