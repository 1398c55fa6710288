/** One operation on the page: what it does on the left, how to call it and what comes back on the right. */
import {
    operationsOf,
    resolved,
    type ApiDescription,
    type Method,
    type Operation,
    type Parameter,
    type ResponseObject,
} from '../openapi/description.ts';
import { scopeSentence } from '../openapi/operation.ts';
import { codeBlock } from './code.ts';
import { html, joined, type Html, type Part } from './html.ts';
import { line, markdown } from './markdown.ts';
import { SchemaView, type Member } from './schema-view.ts';

export interface Shown {
    path: string;
    method: Method;
    operation: Operation;
    /** Other paths of the same. */
    aliases: readonly string[];
}

interface Answered {
    status: string;
    response: ResponseObject;
    /** By which it is referred to, if it is. */
    name: string | undefined;
}

export class OperationView {
    readonly #description: ApiDescription;
    readonly #sent: SchemaView;
    readonly #answered: SchemaView;

    constructor(description: ApiDescription) {
        this.#description = description;
        this.#sent = new SchemaView(description, 'request');
        this.#answered = new SchemaView(description, 'answer');
    }

    article({ path, method, operation, aliases }: Shown): Html {
        const { operationId, summary, deprecated } = operation;
        this.#sent.enter({ id: operationId, title: summary });
        this.#answered.enter({ id: operationId, title: summary });
        return html`<article id="${operationId}" aria-labelledby="${operationId}-title">
            <header>
                <h3 id="${operationId}-title">${summary} <a class="anchor" href="#${operationId}" aria-label="Link to ${summary}">#</a></h3>
                <p class="route">
                    ${methodLabel(method)} <code>${withBreaks(path)}</code>${deprecated && html` <span class="deprecated">deprecated</span>`}
                </p>
                ${aliases.map((alias) => html`<p class="alias">Also at <code>${withBreaks(alias)}</code>, deprecated.</p>`)}
            </header>
            <div class="prose">
                ${this.#about(operation)}${this.#callers(operation)}${this.#parameters(operation)}${this.#body(operation)}${this.#answers(operation)}${this.#errors(operation)}
            </div>
            <div class="samples">${this.#samples(operation)}</div>
        </article>`;
    }

    /** Those that operations refer to in place of having them: told once, for all. */
    commonFailures(): Html {
        const referred = operationsOf(this.#description).flatMap(({ operation }) =>
            this.#responses(operation).flatMap(({ status, name, response }) => (name === undefined ? [] : [[name, { status, response }] as const])),
        );
        const failures = [...new Map(referred)].toSorted(([, a], [, b]) => Number(a.status) - Number(b.status));
        return html`<h2 id="common-failures">Common failures</h2>
            <p>Operations refer to these by their status.</p>
            <dl class="failures">${failures.map(([name, { status, response }]) => failure(status, response, { id: failureId(name) }))}</dl>`;
    }

    #about({ description, 'x-scopes': scopes }: Operation): Part {
        // Told by #callers.
        const text = scopes === undefined ? description : description?.replace(scopeSentence(scopes), '');
        return text !== undefined && markdown(text);
    }

    #callers({ security, 'x-scopes': scopes }: Operation): Html {
        const callers = security.flatMap(Object.keys).map((scheme) => callerNames[scheme] ?? scheme);
        return html`<p class="callers">
            <span>${callers.length === 0 ? 'Open to anyone' : joined(callers, ' or ')}</span>
            ${
                scopes !== undefined &&
                html`<span
                    >with
                    ${joined(
                        scopes.map((scope) => html`<code>${withBreaks(scope)}</code>`),
                        ' or ',
                    )}</span
                >`
            }
        </p>`;
    }

    #parameters({ parameters = [] }: Operation): Part {
        const all = parameters.map((parameter) => resolved<Parameter>(this.#description, parameter));
        return (['path', 'query', 'header'] as const).map((place) => {
            const members = all
                .filter((parameter) => parameter.in === place)
                .map((parameter): Member => ({
                    name: parameter.style === 'deepObject' ? `${parameter.name}[…]` : parameter.name,
                    schema: parameter.deprecated ? { ...parameter.schema, deprecated: true } : parameter.schema,
                    isRequired: parameter.required,
                    description: parameter.description,
                }));
            return (
                members.length > 0 &&
                html`<section>
                    <h4>${placeNames[place]}</h4>
                    ${this.#sent.list(members)}
                </section>`
            );
        });
    }

    #body({ requestBody }: Operation): Part {
        const schema = requestBody?.content['application/json']?.schema;
        return (
            schema !== undefined &&
            html`<section>
                <h4>Body${requestBody?.required === false && html` <span class="optional">optional</span>`}</h4>
                ${this.#sent.body(schema)}
            </section>`
        );
    }

    #answers(operation: Operation): Part {
        return this.#responses(operation)
            .filter(({ status }) => Number(status) < 400)
            .map(({ status, response }) => {
                const types = Object.entries(response.content ?? {});
                return html`<section>
                    <h4>Answer <span class="status">${status}</span></h4>
                    ${types.length === 0 && html`<p>${line(response.description)}</p>`}
                    ${types.map(([type, { schema }]) => (type === 'application/json' && schema !== undefined ? this.#answered.body(schema) : html`<p><code>${type}</code></p>`))}
                </section>`;
            });
    }

    #errors(operation: Operation): Part {
        const failures = this.#responses(operation).filter(({ status }) => Number(status) >= 400);
        const own = failures.filter(({ name }) => name === undefined);
        const common = failures.filter(({ name }) => name !== undefined);
        return (
            failures.length > 0 &&
            html`<section>
                <h4>Failures</h4>
                ${own.length > 0 && html`<dl class="failures">${own.map(({ status, response }) => failure(status, response))}</dl>`}
                ${
                    common.length > 0 &&
                    html`<p class="common">
                        As elsewhere
                        ${joined(
                            common.map(({ status, name }) => html`<a class="status bad" href="#${failureId(name!)}">${status}</a>`),
                            ' ',
                        )}
                    </p>`
                }
            </section>`
        );
    }

    #responses({ responses }: Operation): Answered[] {
        return Object.entries(responses).map(([status, response]) => ({
            status,
            name: '$ref' in response ? response.$ref.split('/').at(-1) : undefined,
            response: resolved<ResponseObject>(this.#description, response),
        }));
    }

    #samples(operation: Operation): Part {
        const call = operation['x-codeSamples']?.[0];
        const examples = this.#responses(operation).flatMap(({ status, response }) => {
            const example = response.content?.['application/json']?.example;
            return example === undefined ? [] : [codeBlock(JSON.stringify(example, undefined, 2), { label: `Answer ${status}` })];
        });
        return [call !== undefined && codeBlock(call.source, { label: call.label }), ...examples];
    }
}

export const methodLabel = (method: Method): Html => html`<span class="method ${method}">${method.toUpperCase()}</span>`;

const callerNames: Readonly<Record<string, string>> = {
    apiKey: 'API key',
    connectSession: 'Connect session',
    connectSessionInQuery: 'Connect session in the query',
};

const placeNames = { path: 'Path', query: 'Query', header: 'Headers' } as const;

/** Long paths and scopes may be broken where they have a joint. */
const withBreaks = (text: string): Html => joined(text.split(/(?<=[/:])/), html`<wbr />`);

const failureId = (name: string): string => `failure-${name}`;

function failure(status: string, { description, content, 'x-codes': codes }: ResponseObject, { id }: { id?: string } = {}): Html {
    const isPage = content?.['text/html'] !== undefined;
    return html`<div ${id !== undefined && html`id="${id}"`}>
        <dt><span class="status bad">${status}</span></dt>
        <dd>
            <p>${line(description.replace(/ Codes?: `.*$/s, ''))}</p>
            ${
                codes !== undefined &&
                html`<p class="codes">
                    ${joined(
                        codes.map((code) => html`<code>${code}</code>`),
                        ' ',
                    )}
                </p>`
            }
            ${isPage && html`<p class="note">${codes === undefined ? 'A page.' : 'Or a page.'}</p>`}
        </dd>
    </div>`;
}
