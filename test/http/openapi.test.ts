/** The description of the API is made from what serves it; here it is held to that, and to OpenAPI 3.1. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fastify } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Principal } from '../../src/http/authentication.ts';
import type { Endpoint } from '../../src/http/endpoint.ts';
import { publicEndpoint } from '../../src/http/authentication.ts';
import { endpoint } from '../../src/http/endpoint.ts';
import {
    operationsOf,
    resolved,
    type ApiDescription,
    type Parameter,
    type Reference,
    type ResponseObject,
} from '../../src/http/openapi/description.ts';
import { describeApi } from '../../src/http/openapi/document.ts';
import { accountScopes, environmentScopes } from '../../src/http/scopes.ts';
import { version } from '../../src/version.ts';
import { startTestApp, type TestApp } from './app.ts';
import { description, endpoints } from './declarations.ts';
import { DeclaredAnswers } from './declared-answers.ts';
import { routesOf } from './routes.ts';

const root = join(import.meta.dirname, '../..');
const knownScopes = new Set<string>([...environmentScopes, ...accountScopes]);

let valetkey: TestApp;
let served: ApiDescription;

beforeAll(async () => {
    valetkey = await startTestApp();
    served = (await valetkey.call<ApiDescription>('GET', '/openapi.json', { key: null })).body;
});
afterAll(() => valetkey.close());

const operations = operationsOf(description);
const named = operations.map((found) => [`${found.method.toUpperCase()} ${found.path}`, found] as const);
const endpointOf = (method: string, path: string): Endpoint =>
    endpoints.find((each) => each.method.toLowerCase() === method && each.paths.some((own) => own.replaceAll(/:(\w+)/g, '{$1}') === path))!;

const codesOf = (response: ResponseObject | Reference): readonly string[] => resolved<ResponseObject>(description, response)['x-codes'] ?? [];

/** Everything in a document, with where it is. */
function* walk(part: unknown, place = '#'): Generator<[string, Record<string, unknown>]> {
    if (typeof part !== 'object' || part === null) {
        return;
    }
    yield [place, part as Record<string, unknown>];
    for (const [name, member] of Object.entries(part)) {
        yield* walk(member, `${place}/${name}`);
    }
}

/** Who may send the fullest of the bodies that depend on who sends them. */
const accountKey: Principal = { kind: 'account key', environment: undefined, keyId: 'k', scopes: ['account:*'], bucket: 'k', session: undefined };

describe('the document', () => {
    test('is valid OpenAPI 3.1', async () => {
        const result = await new Validator().validate(structuredClone(served) as never);
        expect(result.errors).toBeUndefined();
        expect([result.valid, served.openapi]).toEqual([true, '3.1.1']);
    });

    test('has the routes of the router, no more and no fewer', () => {
        const described = operationsOf(served).map(({ method, path }) => `${method.toUpperCase()} ${path}`);
        expect(described.toSorted()).toEqual(
            routesOf(valetkey)
                .map((route) => route.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{path}'))
                .toSorted(),
        );
    });

    test('says whose it is', () => {
        expect(served.info).toMatchObject({ title: 'Valetkey API', version, license: { identifier: 'Apache-2.0' } });
        expect(served.servers).toEqual([{ url: valetkey.url }]);
        expect(served.tags.filter((tag) => tag.description === '')).toEqual([]);
        expect(new Set(operations.flatMap(({ operation }) => operation.tags))).toEqual(new Set(served.tags.map((tag) => tag.name)));
    });

    test('refers to nothing that is not there', () => {
        const references = [...walk(served)].flatMap(([place, { $ref }]) => (typeof $ref === 'string' ? [[place, $ref] as const] : []));
        expect(references.length).toBeGreaterThan(50);
        for (const [place, $ref] of references) {
            expect(() => resolved(served, { $ref }), place).not.toThrow();
        }
    });

    test('has a name for each operation', () => {
        const ids = operations.map(({ operation }) => operation.operationId);
        expect(ids).toEqual([...new Set(ids)]);
        // Generated clients call them so: by what they do, not by their paths.
        const verbs =
            /^(get|list|create|update|replace|delete|set|import|export|apply|rotate|promote|revoke|check|record|prepare|start|finish|connect|enable|redeliver|send|stream)[A-Z][A-Za-z]+$/;
        expect(ids.filter((id) => !verbs.test(id))).toEqual([]);
    });

    test('says in the imperative what each operation does', () => {
        const verbs =
            /^(Get|Read|List|Create|Issue|Change|Set|Replace|Merge|Delete|End|Revoke|Import|Export|Make|Say|Sign|Check|Try|Record|Prepare|Begin|Finish|Connect|Send) [a-zX]/;
        expect(operations.map(({ operation }) => operation.summary).filter((text) => !verbs.test(text) || text.endsWith('.'))).toEqual([]);
    });

    test('has its sections in the order in which one comes to need them', () => {
        expect(served.tags.map(({ name }) => name)).toEqual([
            'Connect sessions',
            'Connecting',
            'Connections',
            'Integrations',
            'Providers',
            'Environment',
            'Webhooks',
            'Logs',
            'API keys',
            'Environments',
            'Server',
        ]);
    });

    test('names scopes that exist, and who may call', () => {
        for (const { method, path, operation } of operations) {
            const { access, authenticate } = endpointOf(method, path);
            expect([path, operation['x-scopes']]).toEqual([path, typeof access === 'string' ? undefined : access]);
            expect((operation['x-scopes'] ?? []).filter((scope) => !knownScopes.has(scope))).toEqual([]);
            const hasScheme = operation.security.length > 0;
            expect([path, hasScheme]).toEqual([path, !['nothing', 'connect session in body'].includes(authenticate.by)]);
            expect(operation.security.flatMap(Object.keys).filter((scheme) => !(scheme in served.components.securitySchemes))).toEqual([]);
        }
    });

    test('marks aliases', () => {
        const list = description.paths['/connection']!.get!;
        expect(list).toMatchObject({ deprecated: true, 'x-alias-of': 'listConnections' });
        expect(description.paths['/connections']!.get!.deprecated).toBeUndefined();
    });
});

/** What failures are called in the source, where they are made: those that no test provokes are described too. */
test('every code that the endpoints and what they call can fail with is described', () => {
    const described = new Set(operations.flatMap(({ operation }) => Object.values(operation.responses).flatMap((each) => codesOf(each))));
    const sources = globSync('src/{http,environments}/**/*.ts', { cwd: root }).map((path) => readFileSync(join(root, path), 'utf8'));
    const made = sources.flatMap((text) =>
        [...text.matchAll(/(?:ApiError\.(?:simple|legacy|withPayload)\(\s*\d+|Refusal\(|ApiError\.invalid\()[,\s]*'([a-z_]+)'/g)].map(
            ([, code]) => code!,
        ),
    );
    expect(new Set(made).size).toBeGreaterThan(40);
    expect(made.filter((code) => !described.has(code))).toEqual([]);
});

describe('the check that every HTTP test makes', () => {
    /** A server whose `/health` answers this, in place of ours. */
    async function answering(status: number, body: unknown): Promise<DeclaredAnswers> {
        const server = fastify();
        const declared = new DeclaredAnswers();
        declared.watch(server);
        server.get('/health', (_request, reply) => reply.code(status).send(body));
        server.get('/nowhere-else', () => ({ any: 'thing' }));
        await server.inject('/nowhere-else');
        await server.inject('/health');
        await server.close();
        return declared;
    }

    test.each([
        ['a member that is not declared', 200, { result: 'ok', extra: 1 }, 'additional properties'],
        ['another value', 200, { result: 'fine' }, '/result'],
        ['a missing member', 200, {}, 'required'],
        ['another type', 200, 'ok', 'text/plain'],
        ['another status', 202, { result: 'ok' }, 'status'],
        ['an undeclared failure', 404, { error: { code: 'not_found' } }, 'not described'],
        ['an undeclared code', 500, { error: { code: 'oh', message: '', payload: '' } }, 'the code oh'],
        ['no envelope', 500, { error: 'generic_error_support' }, '/error must be object'],
    ])('refuses %s', async (_name, status, body, reason) => {
        const declared = await answering(status, body);
        expect(() => declared.assertKept()).toThrow(reason);
        // It is said once.
        expect(() => declared.assertKept()).not.toThrow();
    });

    test('accepts what is declared', async () => {
        expect(() => new DeclaredAnswers().assertKept()).not.toThrow();
        const declared = await answering(200, { result: 'ok' });
        expect(() => declared.assertKept()).not.toThrow();
    });
});

describe('examples', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(description, 'api');
    /** References of a part of the document, for a schema outside of it. */
    const absolute = (schema: object): object => JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/')) as object;

    test.each(named)('%s', (_name, { path, method, operation }) => {
        const declared = endpointOf(method, path);
        const parameters = (operation.parameters ?? []).map((parameter) => resolved<Parameter>(description, parameter));
        const exampleOf = (place: Parameter['in']): Record<string, unknown> =>
            Object.fromEntries(parameters.filter((each) => each.in === place && each.example !== undefined).map((each) => [each.name, each.example]));
        // A request with the examples of what is required is one that the endpoint takes.
        expect(parameters.filter(({ required, example }) => required && example === undefined).map(({ name }) => name)).toEqual([]);
        expect(declared.params?.safeParse(exampleOf('path')).error).toBeUndefined();
        const query = Object.fromEntries(
            Object.entries(exampleOf('query')).map(([name, value]) => [
                name,
                typeof value === 'object' ? value : JSON.stringify(value).replaceAll('"', ''),
            ]),
        );
        expect(declared.query?.safeParse(query).error).toBeUndefined();
        const body = operation.requestBody?.content['application/json'];
        if (body !== undefined) {
            expect(body.example).toBeDefined();
            const schema = declared.bodyFor?.(body.example, accountKey) ?? declared.body!;
            expect(schema.safeParse(body.example).error).toBeUndefined();
        }
        for (const [status, response] of Object.entries(operation.responses)) {
            const { content = {} } = resolved(description, response);
            const { schema, example } = content['application/json'] ?? {};
            if (example !== undefined) {
                const validate = ajv.compile(absolute(schema!));
                expect([status, validate(example), validate.errors]).toEqual([status, true, null]);
            }
        }
    });

    test.each(named)('curl for %s', (_name, { path, method, operation }) => {
        const { source } = operation['x-codeSamples']![0]!;
        const url = new URL(/"(https:[^"]+)"/.exec(source)![1]!);
        expect(url.origin).toBe(description.servers[0]!.url);
        expect(url.pathname.split('/').length).toBe(path.split('/').length);
        expect(url.pathname).not.toMatch(/[{}]|%7B/i);
        expect(source.includes(`-X ${method.toUpperCase()}`)).toBe(method !== 'get');
        expect(source.includes('Authorization: Bearer $')).toBe(
            operation.security.some((scheme) => 'apiKey' in scheme || 'connectSession' in scheme),
        );
        expect(url.searchParams.has('connect_session_token')).toBe(operation.security.some((scheme) => 'connectSessionInQuery' in scheme));
        const body = operation.requestBody?.content['application/json']?.example;
        expect(JSON.parse(/-d '([^]+)'$/.exec(source)?.[1]?.replaceAll("'\\''", "'") ?? 'null')).toEqual(body ?? null);
    });
});

describe('from declarations', () => {
    const declare = (rest: Partial<Endpoint> = {}): Endpoint =>
        endpoint({
            method: 'POST',
            paths: ['/things/:thingId'],
            tag: 'Server',
            summary: 'Make a thing',
            authenticate: publicEndpoint,
            access: 'anyone',
            answers: { 200: null },
            handle: () => ({}),
            ...rest,
        });
    const describeOne = (...each: Endpoint[]): ApiDescription => describeApi(each, { publicUrl: 'https://auth.example.com', version: '1' });
    const operationOf = (rest: Partial<Endpoint>) => describeOne(declare(rest)).paths['/things/{thingId}']!.post!;

    test('the header of repeatable requests is there where an endpoint takes it', () => {
        const { paths, components, info } = describeOne(declare({ creates: true }), declare({ paths: ['/other'] }));
        expect(paths['/things/{thingId}']!.post!.parameters).toContainEqual({ $ref: '#/components/parameters/IdempotencyKey' });
        expect(paths['/other']!.post!.parameters).toBeUndefined();
        expect(components.parameters['IdempotencyKey']).toMatchObject({ name: 'Idempotency-Key', in: 'header', required: false });
        expect(info.description).toContain('## Idempotency');
        expect(paths['/things/{thingId}']!.post!.responses['200']).toMatchObject({
            headers: { 'Idempotent-Replayed': { $ref: '#/components/headers/Idempotent-Replayed' } },
        });
        expect(describeOne(declare()).info.description).not.toContain('Idempotency');
    });

    test('a schema with an id is a component, and one that is sent and answered in different forms is two', () => {
        const Same = z.strictObject({ a: z.string() }).meta({ id: 'Same' });
        const Inner = z.strictObject({ b: z.string().default('x') }).meta({ id: 'Inner' });
        const Outer = z.strictObject({ inner: Inner, same: Same }).meta({ id: 'Outer' });
        const { paths, components } = describeOne(declare({ body: Outer, answers: { 200: Outer } }));
        const { requestBody, responses } = paths['/things/{thingId}']!.post!;
        expect(requestBody!.content['application/json']!.schema).toEqual({ $ref: '#/components/schemas/OuterInput' });
        expect(responses['200']).toMatchObject({ content: { 'application/json': { schema: { $ref: '#/components/schemas/Outer' } } } });
        expect(components.schemas).toMatchObject({
            Same: { properties: { a: { type: 'string' } } },
            OuterInput: { properties: { inner: { $ref: '#/components/schemas/InnerInput' }, same: { $ref: '#/components/schemas/Same' } } },
            Outer: { properties: { inner: { $ref: '#/components/schemas/Inner' } } },
            Inner: { required: ['b'] },
        });
        expect(components.schemas['InnerInput']).not.toHaveProperty('required');
        expect(components.schemas).not.toHaveProperty('SameInput');
    });

    test('an example is of what is sent, also where that is converted', () => {
        const Body = z
            .strictObject({ at: z.string().transform(Date.parse), other: z.string().optional() })
            .meta({ examples: [{ at: 'now', other: 'x' }] });
        expect(operationOf({ body: Body }).requestBody!.content['application/json']!.example).toEqual({ at: 'now', other: 'x' });
    });

    test('two schemas under one id are a mistake', () => {
        const [one, other] = [z.string().meta({ id: 'Twice' }), z.number().meta({ id: 'Twice' })];
        expect(() => describeOne(declare({ body: z.object({ one }) }), declare({ paths: ['/b'], body: z.object({ other }) }))).toThrow('Twice');
    });

    test('queries: brackets, numbers and booleans, defaults', () => {
        const parameters = operationOf({
            query: z.strictObject({
                tags: z.record(z.string(), z.string()).optional(),
                include: z.array(z.enum(['a', 'b'])).optional(),
                page: z.string().transform(Number).pipe(z.int().min(0)).default(0),
                lenient: z.string().catch('whatever it was'),
                name: z.string().min(1),
            }),
            params: z.object({ thingId: z.string().max(7) }),
        }).parameters;
        expect(parameters).toEqual([
            { name: 'thingId', in: 'path', required: true, schema: { type: 'string', maxLength: 7 }, example: 'text' },
            {
                name: 'tags',
                in: 'query',
                required: false,
                schema: { type: 'object', additionalProperties: { type: 'string' } },
                style: 'deepObject',
                explode: true,
            },
            {
                name: 'include',
                in: 'query',
                required: false,
                schema: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
                style: 'form',
                explode: true,
            },
            { name: 'page', in: 'query', required: false, schema: { type: 'integer', minimum: 0, default: 0 } },
            { name: 'lenient', in: 'query', required: false, schema: { type: 'string', default: 'whatever it was' } },
            { name: 'name', in: 'query', required: true, schema: { type: 'string', minLength: 1 }, example: 'GitHub' },
        ]);
    });

    test('bodies: alternatives, and whether one is needed', () => {
        const [one, other] = [z.strictObject({ a: z.string() }), z.strictObject({ b: z.string() })];
        const alternatives = operationOf({ body: one, otherBodies: [other], bodyFor: () => one }).requestBody!;
        expect(alternatives).toMatchObject({
            required: true,
            content: { 'application/json': { schema: { anyOf: [{ required: ['a'] }, { required: ['b'] }] } } },
        });
        expect(operationOf({ body: one.optional() }).requestBody!.required).toBe(false);
        expect(operationOf({}).requestBody).toBeUndefined();
    });

    test('failures: those of its kind, and its own beside them', () => {
        const { responses } = operationOf({ errors: { 400: ['too_blue'], 404: ['not_found'], 500: ['server_error'] }, body: z.strictObject({}) });
        expect(Object.keys(responses)).toEqual(['200', '400', '404', '413', '415', '429', '500']);
        expect(Object.keys(operationOf({ points: 0, anyContentType: true, method: 'POST' }).responses)).toEqual(['200', '400', '413', '500']);
        expect(Object.keys(operationOf({ creates: true }).responses)).toEqual(['200', '400', '409', '413', '415', '422', '429', '500']);
        expect(responses['400']).toMatchObject({ 'x-codes': ['invalid_json', 'invalid_query_params', 'invalid_body', 'too_blue'] });
        expect(responses['404']).toMatchObject({ 'x-codes': ['not_found'] });
        expect(responses['413']).toEqual({ $ref: '#/components/responses/TooLarge' });
        expect(responses['500']).toMatchObject({ 'x-codes': ['generic_error_support', 'server_error'] });
    });
});
