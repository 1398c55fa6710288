/** A JSON Schema for readers: what members there are, of which kind, which have to be there, and what limits them. */
import { operationsOf, resolved, type ApiDescription, type JsonSchema, type ResponseObject } from '../openapi/description.ts';
import { html, joined, type Html, type Part } from './html.ts';
import { markdown } from './markdown.ts';

export interface Member {
    name: string;
    schema: JsonSchema;
    isRequired: boolean;
    description?: string | undefined;
}

const deepest = 6;
const mostInLine = 20;
/** In characters of markup: a longer schema is shown where it comes first, and referred to from everywhere else. */
const longestRepeated = 2500;

/** Of an operation on the page. */
export interface Place {
    id: string;
    title: string;
}

export class SchemaView {
    readonly #description: ApiDescription;
    readonly #side: 'request' | 'answer';
    /** Named schemas of some length: where each was shown, to be shown once. */
    readonly #shown = new Map<string, Place>();
    /** Those that an operation is there to read: they are shown with it, wherever they come first. */
    readonly #homes: ReadonlyMap<string, Place>;
    readonly #links = new Set<Html>();
    #place: Place = { id: '', title: '' };

    /** @param side in an answer, only what can be absent is remarkable. */
    constructor(description: ApiDescription, side: 'request' | 'answer') {
        this.#description = description;
        this.#side = side;
        this.#homes = side === 'answer' ? homesIn(description) : new Map();
    }

    /** What is shown from now on belongs to this operation. */
    enter(place: Place): void {
        this.#place = place;
    }

    /** The members of a schema, its alternatives, or what it is if it has none. */
    body(schema: JsonSchema): Html {
        return this.#inside(schema, 0) ?? html`<p class="type-alone">${this.#typeOf(schema)} ${this.#limits(schema)}</p>`;
    }

    list(members: readonly Member[], depth = 0): Html {
        return html`<dl class="members">${members.map((member) => this.#row(member, depth))}</dl>`;
    }

    #row({ name, schema, isRequired, description }: Member, depth: number): Html {
        const whole = this.#resolve(schema);
        const said = description ?? whole.description ?? this.#onlyAlternative(whole)?.description;
        const inside = this.#inside(schema, depth + 1);
        return html`<div>
            <dt>
                <code>${name}</code> <span class="type">${this.#typeOf(schema)}</span>
                ${!isRequired && html`<span class="optional">optional</span>`}
                ${isRequired && this.#side === 'request' && html`<span class="required">required</span>`}
                ${whole.deprecated && html`<span class="deprecated">deprecated</span>`}
            </dt>
            <dd>
                ${said !== undefined && markdown(said)}${this.#limits(schema)}${this.#longLists(schema)}${inside !== undefined && this.#nested(inside, schema, name)}
            </dd>
        </div>`;
    }

    /** What only wraps something is not worth a click. */
    #nested(inside: Html, schema: JsonSchema, name: string): Html {
        if (this.#links.has(inside)) {
            return inside;
        }
        const isWrapper = name === 'data' || name === 'error';
        return html`<details ${isWrapper ? 'open' : ''}>
            <summary>${this.#titleOf(schema)} <span class="of">of ${name}</span></summary>
            ${inside}
        </details>`;
    }

    #titleOf(schema: JsonSchema): string {
        const whole = this.#resolve(schema);
        const alternatives = this.#alternatives(whole);
        if (alternatives.length > 1) {
            return 'Alternatives';
        }
        if (whole.items !== undefined) {
            return 'Each item';
        }
        return whole.properties === undefined && whole.additionalProperties !== undefined ? 'Each value' : 'Members';
    }

    /** `undefined`: nothing that its type does not say. */
    #inside(schema: JsonSchema, depth: number): Html | undefined {
        const { $ref } = schema;
        const home = $ref === undefined ? undefined : this.#homes.get($ref);
        const elsewhere = home !== undefined && home.id !== this.#place.id ? home : this.#shown.get($ref ?? '');
        if (elsewhere !== undefined) {
            return this.#linkTo(elsewhere);
        }
        const inside = this.#whole(schema, depth);
        if ($ref !== undefined && inside !== undefined && inside.text.length > longestRepeated) {
            this.#shown.set($ref, this.#place);
        }
        return inside;
    }

    #linkTo({ id, title }: Place): Html {
        const link = id === this.#place.id ? html`<p class="note">As above.</p>` : html`<p class="note">As in <a href="#${id}">${title}</a>.</p>`;
        this.#links.add(link);
        return link;
    }

    #whole(schema: JsonSchema, depth: number): Html | undefined {
        const whole = this.#resolve(schema);
        if (depth > deepest) {
            return undefined;
        }
        const alternatives = this.#alternatives(whole);
        if (alternatives.length > 0) {
            const insides = alternatives.map((alternative) => ({ alternative, inside: this.#inside(alternative, depth) }));
            const [only] = insides;
            if (insides.length === 1) {
                return only!.inside;
            }
            return insides.some(({ inside }) => inside !== undefined)
                ? html`${insides.map(({ alternative, inside }, index) => this.#alternative(alternative, inside, index))}`
                : undefined;
        }
        if (whole.items !== undefined) {
            return this.#inside(whole.items, depth);
        }
        const { properties = {}, required = [], additionalProperties } = whole;
        const all = Object.entries(properties).map(([name, member]): Member => ({ name, schema: member, isRequired: required.includes(name) }));
        // What somebody has to send comes first.
        const members = this.#side === 'answer' ? all : all.toSorted((a, b) => Number(b.isRequired) - Number(a.isRequired));
        if (members.length > 0) {
            return html`${this.list(members, depth)}${isOpen(additionalProperties) && html`<p class="note">Further members are possible.</p>`}`;
        }
        return typeof additionalProperties === 'object' ? this.#inside(additionalProperties, depth) : undefined;
    }

    #alternative(schema: JsonSchema, inside: Html | undefined, index: number): Html {
        const kind = this.#constantsOf(schema);
        const title = kind ?? this.#typeOf(schema);
        return html`<details class="alternative" ${index === 0 ? 'open' : ''}>
            <summary>${index === 0 ? 'Either' : 'Or'} <span class="type">${title}</span></summary>
            ${inside ?? this.#limits(schema)}
        </details>`;
    }

    /** What tells it from its siblings: `type` being `OAUTH2`, or else what has to be there. */
    #constantsOf(schema: JsonSchema): Part {
        const { properties = {}, required = [] } = this.#resolve(schema);
        const constant = Object.entries(properties).find(([, member]) => member.const !== undefined);
        if (constant !== undefined) {
            return html`<code>${constant[0]}</code> is <code>${JSON.stringify(constant[1].const)}</code>`;
        }
        return required.length === 0
            ? undefined
            : html`with
              ${joined(
                  required.map((name) => html`<code>${name}</code>`),
                  ', ',
              )}`;
    }

    /** Of what may be null. */
    #onlyAlternative(whole: JsonSchema): JsonSchema | undefined {
        const [only, ...others] = this.#alternatives(whole);
        return only === undefined || others.length > 0 ? undefined : this.#resolve(only);
    }

    /** Other than null. */
    #alternatives({ anyOf, oneOf }: JsonSchema): JsonSchema[] {
        return (anyOf ?? oneOf ?? []).filter(({ type }) => type !== 'null');
    }

    #typeOf(schema: JsonSchema): Part {
        const whole = this.#resolve(schema);
        const alternatives = whole.anyOf ?? whole.oneOf;
        if (alternatives !== undefined) {
            const types = alternatives.map((alternative) => this.#typeOf(alternative));
            return types.length > 4 ? `one of ${types.length} forms` : joined(types, ' or ');
        }
        if (whole.const !== undefined) {
            return html`<code>${JSON.stringify(whole.const)}</code>`;
        }
        const { type } = whole;
        if (type === undefined) {
            return whole.properties === undefined ? 'anything' : 'object';
        }
        return joined(
            [type].flat().map((each) => this.#word(each, whole)),
            ' or ',
        );
    }

    #word(type: string, { format, items, properties, additionalProperties }: JsonSchema): Part {
        if (type === 'array') {
            return items === undefined ? 'array' : html`array of ${this.#typeOf(items)}`;
        }
        if (
            type === 'object' &&
            properties === undefined &&
            typeof additionalProperties === 'object' &&
            Object.keys(additionalProperties).length > 0
        ) {
            return html`map to ${this.#typeOf(additionalProperties)}`;
        }
        return type === 'string' && format !== undefined ? (formatNames[format] ?? format) : type;
    }

    #limits(schema: JsonSchema): Html | undefined {
        const facts = new Map(this.#facts(schema).map((fact) => [fact.text, fact]));
        return facts.size === 0 ? undefined : html`<p class="limits">${[...facts.values()].map((fact) => html`<span>${fact}</span> `)}</p>`;
    }

    /** Those of an array's items and of alternatives too: where they have members, these tell more. */
    #facts(schema: JsonSchema): Html[] {
        const whole = this.#resolve(schema);
        const { enum: values, default: absent, propertyNames, items } = whole;
        const names = propertyNames === undefined ? undefined : this.#resolve(propertyNames);
        const own: (Html | undefined)[] = [
            values === undefined || values.length > mostInLine ? undefined : html`One of ${joined(values.map(literal), ', ')}`,
            range(whole.minLength, whole.maxLength, 'character'),
            range(whole.minimum, whole.maximum, ''),
            range(whole.minItems, whole.maxItems, 'item'),
            whole.pattern === undefined ? undefined : html`Pattern <code>${whole.pattern}</code>`,
            names?.pattern === undefined ? undefined : html`Names match <code>${names.pattern}</code>`,
            absent === undefined || isEmpty(absent) ? undefined : html`Default <code>${JSON.stringify(absent)}</code>`,
        ];
        const parts = [...(items === undefined ? [] : [items]), ...this.#alternatives(whole)];
        return [...own.filter((fact) => fact !== undefined), ...parts.flatMap((part) => this.#facts(part))];
    }

    /** Values that would be half a page. */
    #longLists(schema: JsonSchema): Html[] {
        const { enum: values = [], items, ...whole } = this.#resolve(schema);
        const own =
            values.length > mostInLine
                ? [
                      html`<details>
                          <summary>One of ${values.length} values</summary>
                          <p class="values">${joined(values.map(literal), ' ')}</p>
                      </details>`,
                  ]
                : [];
        return [...own, ...[...(items === undefined ? [] : [items]), ...this.#alternatives(whole)].flatMap((part) => this.#longLists(part))];
    }

    #resolve(schema: JsonSchema): JsonSchema {
        if (schema.$ref === undefined) {
            return schema;
        }
        const { $ref, ...beside } = schema;
        return { ...resolved<JsonSchema>(this.#description, { $ref }), ...beside };
    }
}

/** By reference. */
function homesIn(description: ApiDescription): Map<string, Place> {
    const homes = new Map<string, Place>();
    for (const { method, operation } of operationsOf(description)) {
        const { 200: answer } = operation.responses;
        const { $ref } = (answer && resolved<ResponseObject>(description, answer).content?.['application/json']?.schema) ?? {};
        if (method === 'get' && $ref !== undefined && operation['x-alias-of'] === undefined) {
            homes.set($ref, { id: operation.operationId, title: operation.summary });
        }
    }
    return homes;
}

/** Whether members that are not named may be there. */
const isOpen = (additional: JsonSchema | boolean | undefined): boolean => typeof additional === 'object' || additional === true;

const formatNames: Readonly<Record<string, string>> = { 'date-time': 'date and time', uri: 'URL', email: 'email address', uuid: 'UUID' };

/** An absent object is like an empty one: nobody needs to be told. */
const isEmpty = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length === 0;

const literal = (value: unknown): Html => html`<code>${typeof value === 'string' ? value : JSON.stringify(value)}</code>`;

function range(least = -Infinity, most = Infinity, unit: string): Html | undefined {
    const of = (count: number): string => (unit === '' ? String(count) : `${count} ${unit}${count === 1 ? '' : 's'}`);
    const hasLeast = least > (unit === '' ? -Infinity : 0);
    if (most < Infinity) {
        return hasLeast ? (least === most ? html`${of(most)}` : html`${least} to ${of(most)}`) : html`At most ${of(most)}`;
    }
    return hasLeast ? html`At least ${of(least)}` : undefined;
}
