/** Path and query of an endpoint as OpenAPI parameters. Brackets in a query (`tags[plan]=pro`) are its `deepObject`. */
import { z } from 'zod';
import { anyQuery, type Endpoint } from '../endpoint.ts';
import type { JsonSchema, Parameter } from './description.ts';
import { sampleOf } from './samples.ts';
import type { Schemas } from './schemas.ts';

const pathParameter = /:(\w+)|\*/g;
/** What stands for the rest of a path. */
const rest = 'path';

/** `/connections/:connectionId` as `/connections/{connectionId}`. */
export const templateOf = (path: string): string => path.replaceAll(pathParameter, (_all, name: string | undefined) => `{${name ?? rest}}`);

export function parametersOf(endpoint: Endpoint, path: string, schemas: Schemas): Parameter[] {
    return [...pathParameters(endpoint, path, schemas), ...queryParameters(endpoint, schemas)];
}

function pathParameters({ params }: Endpoint, path: string, schemas: Schemas): Parameter[] {
    const { properties = {} } = params === undefined ? ({} as JsonSchema) : schemas.resolve(schemas.get(params, 'input'));
    return [...path.matchAll(pathParameter)].map(([, name = rest]) => parameter(schemas, name, 'path', properties[name] ?? { type: 'string' }, true));
}

function queryParameters({ query }: Endpoint, schemas: Schemas): Parameter[] {
    if (query === undefined || query === anyQuery) {
        return [];
    }
    const sent = schemas.resolve(schemas.get(query, 'input'));
    const understood = schemas.understood(query).properties ?? {};
    return Object.entries(sent.properties ?? {}).map(([name, schema]) => {
        const isRequired = sent.required?.includes(name) === true && !canBeAbsent(query, name);
        return { ...parameter(schemas, name, 'query', meant(schema, understood[name]), isRequired), ...styleOf(schemas.resolve(schema)) };
    });
}

/** `catch` makes what zod calls required. */
const canBeAbsent = (query: z.ZodType, name: string): boolean => query instanceof z.ZodObject && z.safeParse(query.shape[name]!, undefined).success;

/** A query is text; what is understood as a number or a boolean is documented as that, and what absence is understood as too. */
function meant(sent: JsonSchema, understood: JsonSchema = {}): JsonSchema {
    const isText = Object.keys(sent).every((keyword) => keyword === 'type' || keyword === 'description') && sent.type === 'string';
    if (isText && ['integer', 'number', 'boolean'].includes(String(understood.type))) {
        return understood;
    }
    return understood.default === undefined || sent.$ref !== undefined ? sent : { ...sent, default: understood.default };
}

function styleOf({ type, additionalProperties, properties }: JsonSchema): Pick<Parameter, 'style' | 'explode'> {
    if (type === 'object' || additionalProperties !== undefined || properties !== undefined) {
        return { style: 'deepObject', explode: true };
    }
    return type === 'array' ? { style: 'form', explode: true } : {};
}

function parameter(schemas: Schemas, name: string, place: 'path' | 'query', schema: JsonSchema, required: boolean): Parameter {
    // A reference's description is said where it is used; beside `$ref` it would be the schema's.
    const { description, deprecated, ...itself } = schema;
    const said = description ?? schemas.resolve(schema).description;
    const example = required ? sampleOf(schema, { resolve: (part) => schemas.resolve(part), name, isRequest: true }) : undefined;
    return {
        name,
        in: place,
        required,
        ...(said === undefined ? {} : { description: said }),
        ...(deprecated ? { deprecated } : {}),
        schema: itself,
        ...(example === undefined ? {} : { example }),
    };
}
