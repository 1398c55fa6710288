/**
 * An endpoint is one declaration: method, path, who may call it, the schemas of its input, and a handler. The same
 * declaration validates requests and documents the API. This file carries it out, in the contract's order (http-api §1.1):
 * body parsing, content type, authentication, rate limit, scope, validation, handler.
 */
import type { FastifyCorsOptions } from '@fastify/cors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { assertUnused, type Authentication, type Principal } from './authentication.ts';
import { ApiError, toIssues } from './errors.ts';
import { isReplayed, keep } from './idempotency.ts';
import type { RateLimits } from './rate-limit.ts';
import { assertAccess, type Access } from './scopes.ts';
import type { Services } from './services.ts';
import { unstorableText } from './storable-text.ts';

type Part = 'query' | 'params' | 'body';
type Schema = z.ZodType;

export interface EndpointInput<Query, Params, Body, Found> {
    query: Query;
    params: Params;
    body: Body;
    principal: Principal;
    /** What authentication found along the way (`authenticate.lookUp`). */
    found: Found;
    request: FastifyRequest;
    reply: FastifyReply;
}

/** Sections of the API's description. */
export type Tag =
    | 'Connect sessions'
    | 'Connecting'
    | 'Connections'
    | 'Integrations'
    | 'Providers'
    | 'Environment'
    | 'Webhooks'
    | 'Logs'
    | 'API keys'
    | 'Environments'
    | 'Server';

/** By status, what the body is; `null` for an answer without one, text for one that is not JSON (its media type). */
export type Answers = Readonly<Record<number, Schema | null | string>>;

export interface Endpoint<Query extends Schema = Schema, Params extends Schema = Schema, Body extends Schema = Schema, Found = unknown> {
    method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
    /** The path, then any aliases. */
    paths: readonly [string, ...string[]];
    tag: Tag;
    /** One line, in the imperative. */
    summary: string;
    /** What a caller has to know beyond the schemas, in Markdown. */
    description?: string;
    isDeprecated?: boolean;
    /** What clients that are made from the description call it; default: made from method and path, where that reads well. */
    operationId?: string;
    authenticate: Authentication<Found>;
    access: Access;
    /** Its successes, and failures that are not errors' envelopes, for the description; nothing is checked against them while serving. */
    answers: Answers;
    /** Codes of its own failures by status, for the description: those beside what every endpoint of its kind can answer. */
    errors?: Readonly<Record<number, readonly string[]>>;
    /** Absent: no query parameter is accepted. */
    query?: Query;
    params?: Params;
    /** Absent: a body is ignored. */
    body?: Body;
    /** Where the body's own keys, or who sends it, decide between two schemas; `body` documents the usual one. */
    bodyFor?: (raw: unknown, principal: Principal) => Schema;
    /** For the description: what `bodyFor` answers beside `body`. */
    otherBodies?: readonly Schema[];
    /** Which part's mistakes are reported first. */
    order?: readonly Part[];
    /** Answers that carry credentials or tokens must not be kept by anybody in between (E6). */
    noStore?: boolean;
    /** Creates something: takes an Idempotency-Key. */
    creates?: boolean;
    /** What a request costs of the caller's budget (§1.10); 0: not limited. Default 1, or 10 where nothing is presented. */
    points?: number;
    /** A GET that uses something up: HEAD, which link scanners send, must not run it. */
    isSingleUse?: boolean;
    /** For its answers and its preflight, in place of what every other endpoint has (http-api §1.9). */
    cors?: FastifyCorsOptions;
    /** Its handler checks a signature over the body as it came: `request.rawBody`. */
    keepsRawBody?: boolean;
    /** Default: the server's. */
    bodyLimitBytes?: number;
    /** Paths outside the content-type gate (http-api §1.2). */
    anyContentType?: boolean;
    /** Answers this endpoint's failures, from authentication on, where JSON is not what the caller reads. */
    onError?(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>;
    handle(input: EndpointInput<z.output<Query>, z.output<Params>, z.output<Body>, Found>): Promise<unknown> | unknown;
}

/** Keeps an endpoint's types while it travels as `Endpoint`. */
export const endpoint = <Query extends Schema, Params extends Schema, Body extends Schema, Found>(
    definition: Endpoint<Query, Params, Body, Found>,
): Endpoint => definition as unknown as Endpoint;

/** Accepts whatever comes, for queries that are looked at name by name or not at all. */
export const anyQuery = z.looseObject({});

const nothing = z.strictObject({});
const invalidCode = { query: 'invalid_query_params', params: 'invalid_uri_params', body: 'invalid_body' } as const;

export function registerEndpoint(app: FastifyInstance, definition: Endpoint, services: Services, limits: RateLimits): void {
    const order = definition.order ?? ['query', 'params', 'body'];
    const schemas: Record<Part, Schema | undefined> = {
        query: definition.query ?? nothing,
        params: definition.params,
        body: definition.body,
    };
    // Read by the CORS plugin, which answers a preflight before any handler.
    const config = {
        ...(definition.cors === undefined ? {} : { cors: definition.cors }),
        ...(definition.keepsRawBody ? { keepsRawBody: true } : {}),
    };
    /** What used its session up may be this very request, whose answer was lost. */
    const mayBeReplayed = (request: FastifyRequest): boolean => definition.creates === true && request.headers['idempotency-key'] !== undefined;
    const identify = async (request: FastifyRequest, reply: FastifyReply) => {
        try {
            const identified = await definition.authenticate.identify(request);
            if (definition.authenticate.isForConnecting && !mayBeReplayed(request)) {
                assertUnused(identified.principal);
            }
            return identified;
        } catch (error) {
            if (error instanceof ApiError && error.status === 401) {
                limits.countFailure(request, reply);
            }
            throw error;
        }
    };
    for (const url of definition.paths) {
        if (definition.cors !== undefined) {
            app.options(url, { config }, (_request, reply) => reply.code(204).send());
        }
        app.route({
            method: definition.method,
            url,
            config,
            exposeHeadRoute: !definition.isSingleUse,
            ...(definition.bodyLimitBytes === undefined ? {} : { bodyLimit: definition.bodyLimitBytes }),
            ...(definition.onError ? { errorHandler: (error, request, reply) => definition.onError!(error, request, reply) } : {}),
            ...(definition.creates
                ? {
                      onSend: async (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
                          await keep(services, request, reply, payload);
                          return payload;
                      },
                  }
                : {}),
            preValidation: async (request, reply) => {
                if (!definition.anyContentType) {
                    assertJson(request);
                }
                const { principal, found } = await identify(request, reply);
                request.principal = principal;
                request.found = found;
                limits.count(principal, request, reply, definition.points);
                assertAccess(principal, definition.access);
            },
            handler: async (request, reply) => {
                const input: Record<Part, unknown> = { query: undefined, params: undefined, body: undefined };
                for (const part of order) {
                    const schema = part === 'body' && definition.bodyFor ? definition.bodyFor(request.body, request.principal) : schemas[part];
                    input[part] = validate(part, schema, request[part], definition.authenticate.isForConnecting === true);
                }
                if (definition.noStore) {
                    reply.header('cache-control', 'no-store');
                }
                if (definition.creates && (await isReplayed(services, request, reply))) {
                    return reply;
                }
                const { principal, found } = request;
                if (definition.authenticate.isForConnecting) {
                    assertUnused(principal);
                }
                return definition.handle({ ...input, principal, found, request, reply } as never);
            },
        });
    }
}

function validate(part: Part, schema: Schema | undefined, value: unknown, isShown: boolean): unknown {
    if (schema === undefined || schema === anyQuery) {
        return value;
    }
    const result = schema.safeParse(value);
    const issues = result.success ? unstorableText(value) : toIssues(result.error);
    if (issues.length > 0) {
        throw ApiError.invalid(invalidCode[part], issues, { isShown });
    }
    return result.data;
}

/** http-api §1.2: an absent or JSON content type passes, whatever the method. */
function assertJson(request: FastifyRequest): void {
    const type = request.headers['content-type'];
    if (type && !type.toLowerCase().startsWith('application/json')) {
        throw ApiError.simple(415, 'invalid_content_type', 'The Content-Type must be application/json.');
    }
}

declare module 'fastify' {
    interface FastifyRequest {
        principal: Principal;
        found: unknown;
        /** JSON as it came, on routes that keep it; else empty. */
        rawBody: string;
    }
    interface FastifyContextConfig {
        keepsRawBody?: boolean;
    }
}
