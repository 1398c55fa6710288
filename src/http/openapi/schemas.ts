/**
 * zod schemas as JSON Schemas. One with an id (`.meta({ id })`) is written once, under `components`, and referred to. What a
 * caller sends and what it gets can differ under one id (defaults, transforms): then the sent form is called `…Input`.
 */
import { z } from 'zod';
import type { JsonSchema } from './description.ts';

export type Side = 'input' | 'output';

interface Converted {
    schema: JsonSchema;
    named: Record<string, JsonSchema>;
}

const withinZod = '#/$defs/';
const withinDocument = '#/components/schemas/';

export class Schemas {
    readonly #converted: Record<Side, Map<z.ZodType, Converted>> = { input: new Map(), output: new Map() };
    readonly #named: Record<Side, Map<string, JsonSchema>> = { input: new Map(), output: new Map() };
    #differing: ReadonlySet<string> | undefined;
    #components: Record<string, JsonSchema> | undefined;

    /** Makes it known. All have to be before the first is asked for. @throws Error when two schemas have one id */
    add(schema: z.ZodType, side: Side): void {
        if (this.#converted[side].has(schema)) {
            return;
        }
        const converted = convert(schema, side);
        this.#converted[side].set(schema, converted);
        for (const [id, definition] of Object.entries(converted.named)) {
            const known = this.#named[side].get(id);
            if (known !== undefined && JSON.stringify(known) !== JSON.stringify(definition)) {
                throw new Error(`two schemas are called ${id}`);
            }
            this.#named[side].set(id, definition);
        }
        this.#differing = undefined;
        this.#components = undefined;
    }

    /** As the document has it. */
    get(schema: z.ZodType, side: Side): JsonSchema {
        const converted = this.#converted[side].get(schema);
        if (converted === undefined) {
            throw new Error('this schema was not added');
        }
        return this.#refer(converted.schema, side);
    }

    /** What a handler sees of something sent: with defaults filled in and texts converted. */
    understood(schema: z.ZodType): JsonSchema {
        return convert(schema, 'output').schema;
    }

    /** What a reference stands for, together with what is said beside it. */
    resolve(schema: JsonSchema): JsonSchema {
        if (schema.$ref === undefined) {
            return schema;
        }
        const { $ref, ...beside } = schema;
        this.#components ??= this.components();
        return { ...this.resolve(this.#components[$ref.slice(withinDocument.length)]!), ...beside };
    }

    /** All that have names. */
    components(): Record<string, JsonSchema> {
        const entries = (['output', 'input'] as const).flatMap((side) =>
            [...this.#named[side]].map(([id, schema]) => [this.#nameOf(id, side), this.#refer(schema, side)] as const),
        );
        return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
    }

    #nameOf(id: string, side: Side): string {
        this.#differing ??= this.#findDiffering();
        return side === 'input' && this.#differing.has(id) ? `${id}Input` : id;
    }

    /** Ids whose two forms differ, or refer to some that do. */
    #findDiffering(): Set<string> {
        const { input, output } = this.#named;
        const both = [...input.keys()].filter((id) => output.has(id));
        const differing = new Set(both.filter((id) => JSON.stringify(input.get(id)) !== JSON.stringify(output.get(id))));
        let before: number;
        do {
            before = differing.size;
            for (const id of both) {
                const text = JSON.stringify(input.get(id));
                if ([...differing].some((other) => text.includes(`"${withinZod}${other}"`))) {
                    differing.add(id);
                }
            }
        } while (differing.size > before);
        return differing;
    }

    #refer(schema: JsonSchema, side: Side): JsonSchema {
        return rename(schema, (id) => this.#nameOf(id, side)) as JsonSchema;
    }
}

function convert(schema: z.ZodType, side: Side): Converted {
    const {
        $schema: _dialect,
        $defs = {},
        ...converted
    } = z.toJSONSchema(schema, {
        io: side,
        target: 'draft-2020-12',
        unrepresentable: 'any',
        override: ({ zodSchema, jsonSchema }) => {
            // zod takes examples of what it converts to be of the result; ours are of what is sent.
            const { examples } = z.globalRegistry.get(zodSchema) ?? {};
            Object.assign(jsonSchema, side === 'input' && Array.isArray(examples) ? { examples } : {});
            tidy(jsonSchema as JsonSchema);
        },
    });
    const named = $defs as Record<string, JsonSchema>;
    const unnamed = Object.keys(named).find((id) => id.startsWith('__'));
    if (unnamed !== undefined) {
        throw new Error('a schema that contains itself needs an id');
    }
    return { schema: converted as JsonSchema, named };
}

/** Takes out what says nothing to a reader. */
function tidy(schema: JsonSchema): void {
    if (schema.format !== undefined) {
        // The expression by which zod checks the format.
        delete schema.pattern;
    }
    if (schema.maximum === Number.MAX_SAFE_INTEGER) {
        delete schema.maximum;
    }
    if (schema.minimum === Number.MIN_SAFE_INTEGER) {
        delete schema.minimum;
    }
    if (schema.propertyNames?.type === 'string' && Object.keys(schema.propertyNames).length === 1) {
        delete schema.propertyNames;
    }
}

/** A member that is called `$ref` has a schema, not text. */
function rename(part: unknown, nameOf: (id: string) => string): unknown {
    if (Array.isArray(part)) {
        return part.map((item) => rename(item, nameOf));
    }
    if (typeof part !== 'object' || part === null) {
        return part;
    }
    return Object.fromEntries(
        Object.entries(part).map(([key, value]) => [
            key,
            key === '$ref' && typeof value === 'string' && value.startsWith(withinZod)
                ? `${withinDocument}${nameOf(value.slice(withinZod.length))}`
                : rename(value, nameOf),
        ]),
    );
}
