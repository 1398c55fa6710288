/** The parts of an OpenAPI 3.1 document that this API's description uses. */

/** JSON Schema 2020-12, as far as it is looked at here. */
export interface JsonSchema {
    [keyword: string]: unknown;
    $ref?: string;
    type?: string | string[];
    format?: string;
    pattern?: string;
    enum?: unknown[];
    const?: unknown;
    default?: unknown;
    examples?: unknown[];
    description?: string;
    deprecated?: boolean;
    minimum?: number;
    maximum?: number;
    minLength?: number;
    maxLength?: number;
    minItems?: number;
    maxItems?: number;
    items?: JsonSchema;
    properties?: Record<string, JsonSchema>;
    required?: string[];
    additionalProperties?: JsonSchema | boolean;
    propertyNames?: JsonSchema;
    anyOf?: JsonSchema[];
    oneOf?: JsonSchema[];
    allOf?: JsonSchema[];
}

export interface Reference {
    $ref: string;
}

export interface Parameter {
    name: string;
    in: 'path' | 'query' | 'header';
    required: boolean;
    description?: string;
    deprecated?: boolean;
    style?: 'deepObject' | 'form' | 'simple';
    explode?: boolean;
    schema: JsonSchema;
    example?: unknown;
}

export interface MediaType {
    schema?: JsonSchema;
    example?: unknown;
}

export interface Header {
    description: string;
    schema: JsonSchema;
}

export interface ResponseObject {
    description: string;
    headers?: Record<string, Header | Reference>;
    content?: Record<string, MediaType>;
    /** Which `error.code` it may carry. */
    'x-codes'?: readonly string[];
}

export interface RequestBody {
    required: boolean;
    content: Record<string, MediaType>;
}

export interface Operation {
    operationId: string;
    tags: string[];
    summary: string;
    description?: string;
    deprecated?: boolean;
    security: Record<string, string[]>[];
    parameters?: (Parameter | Reference)[];
    requestBody?: RequestBody;
    responses: Record<string, ResponseObject | Reference>;
    /** Any one of these scopes is enough. */
    'x-scopes'?: readonly string[];
    /** The operation that this one is another path of. */
    'x-alias-of'?: string;
    'x-codeSamples'?: { lang: string; label: string; source: string }[];
}

export const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
export type Method = (typeof methods)[number];

export interface ApiDescription {
    openapi: string;
    info: { title: string; version: string; summary: string; description: string; license: { name: string; identifier: string } };
    servers: { url: string }[];
    tags: { name: string; description: string }[];
    paths: Record<string, Partial<Record<Method, Operation>>>;
    components: {
        schemas: Record<string, JsonSchema>;
        responses: Record<string, ResponseObject>;
        parameters: Record<string, Parameter>;
        headers: Record<string, Header>;
        securitySchemes: Record<string, Record<string, string>>;
    };
}

/** Every operation with where it is, in the document's order. */
export const operationsOf = ({ paths }: ApiDescription): { path: string; method: Method; operation: Operation }[] =>
    Object.entries(paths).flatMap(([path, item]) =>
        methods.flatMap((method) => {
            const operation = item[method];
            return operation === undefined ? [] : [{ path, method, operation }];
        }),
    );

/** What a reference inside the document stands for. @throws Error when it dangles */
export function resolved<T extends object>(description: ApiDescription, part: T | Reference): T {
    if (!('$ref' in part) || typeof part.$ref !== 'string') {
        return part as T;
    }
    const found = part.$ref
        .split('/')
        .slice(1)
        .reduce<unknown>(
            (within, name) => (within as Record<string, unknown> | undefined)?.[name.replaceAll('~1', '/').replaceAll('~0', '~')],
            description,
        );
    if (found === undefined) {
        throw new Error(`nothing is at ${part.$ref}`);
    }
    return resolved(description, found as T | Reference);
}
