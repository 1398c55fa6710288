/** One endpoint as an OpenAPI operation. */
import type { z } from 'zod';
import type { Endpoint } from '../endpoint.ts';
import { curlOf } from './curl.ts';
import type { JsonSchema, MediaType, Operation, RequestBody, ResponseObject } from './description.ts';
import { failuresOf, rateLimitHeaders } from './failures.ts';
import { operationIdOf } from './operation-id.ts';
import { parametersOf, templateOf } from './parameters.ts';
import { sampleOf } from './samples.ts';
import type { Schemas } from './schemas.ts';

const json = 'application/json';

/** Makes the schemas of an endpoint known. */
export function addSchemas(schemas: Schemas, endpoint: Endpoint): void {
    const { query, params, answers } = endpoint;
    for (const schema of [query, params, ...bodiesOf(endpoint)]) {
        if (schema !== undefined) {
            schemas.add(schema, 'input');
        }
    }
    for (const answer of Object.values(answers)) {
        if (typeof answer === 'object' && answer !== null) {
            schemas.add(answer, 'output');
        }
    }
}

const bodiesOf = ({ body, otherBodies = [] }: Endpoint): z.ZodType[] => (body === undefined ? [] : [body, ...otherBodies]);

/** @param path one of the endpoint's; those after its first are aliases, which exist for old callers. */
export function operationOf(endpoint: Endpoint, path: string, options: { schemas: Schemas; publicUrl: string }): Operation {
    const { schemas, publicUrl } = options;
    const isAlias = path !== endpoint.paths[0];
    const body = requestBodyOf(endpoint, schemas);
    const described = descriptionOf(endpoint, isAlias);
    const parameters = [...parametersOf(endpoint, path, schemas), ...(endpoint.creates ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : [])];
    const operation: Operation = {
        operationId: operationIdOf(endpoint, path),
        tags: [endpoint.tag],
        summary: endpoint.summary,
        ...(described === '' ? {} : { description: described }),
        ...(endpoint.isDeprecated || isAlias ? { deprecated: true } : {}),
        security: securityOf(endpoint),
        ...(typeof endpoint.access === 'string' ? {} : { 'x-scopes': endpoint.access }),
        ...(isAlias ? { 'x-alias-of': operationIdOf(endpoint, endpoint.paths[0]) } : {}),
        ...(parameters.length === 0 ? {} : { parameters }),
        ...(body === undefined ? {} : { requestBody: body }),
        responses: responsesOf(endpoint, schemas),
    };
    const source = curlOf(operation, { method: endpoint.method, path: templateOf(path), publicUrl });
    return { ...operation, 'x-codeSamples': [{ lang: 'Shell', label: 'curl', source }] };
}

function descriptionOf({ description, access, paths, authenticate }: Endpoint, isAlias: boolean): string {
    const sentences = [
        isAlias ? `Another path of \`${templateOf(paths[0])}\`, for old callers.` : undefined,
        description,
        typeof access === 'string' ? undefined : scopeSentence(access),
        access === 'environment' ? 'Needs an API key of an environment, or a connect session.' : undefined,
        authenticate.by === 'connect session in body' ? 'The token of the connect session is in the body.' : undefined,
    ];
    return sentences.filter((sentence) => sentence !== undefined).join('\n\n');
}

export const scopeSentence = (scopes: readonly string[]): string =>
    `Needs an API key with the scope ${scopes.map((scope) => `\`${scope}\``).join(' or ')}.`;

function securityOf({ authenticate }: Endpoint): Operation['security'] {
    switch (authenticate.by) {
        case 'API key':
            return [{ apiKey: [] }];
        case 'connect session':
            return [{ connectSession: [] }];
        case 'connect session or API key':
            return [{ apiKey: [] }, { connectSession: [] }];
        case 'connect session in query':
            return [{ connectSessionInQuery: [] }];
        // OpenAPI has no word for a token in a body.
        case 'connect session in body':
        case 'nothing':
            return [];
    }
}

function requestBodyOf(endpoint: Endpoint, schemas: Schemas): RequestBody | undefined {
    const bodies = bodiesOf(endpoint);
    if (bodies.length === 0) {
        return undefined;
    }
    const alternatives = bodies.map((schema) => schemas.get(schema, 'input'));
    const schema = alternatives.length === 1 ? alternatives[0]! : { anyOf: alternatives };
    return { required: bodies.every((each) => !each.safeParse(undefined).success), content: { [json]: withSample(schema, schemas, true) } };
}

function withSample(schema: JsonSchema, schemas: Schemas, isRequest: boolean): MediaType {
    const example = sampleOf(schema, { resolve: (part) => schemas.resolve(part), isRequest });
    return { schema, ...(example === undefined ? {} : { example }) };
}

function responsesOf(endpoint: Endpoint, schemas: Schemas): Operation['responses'] {
    const responses: Operation['responses'] = failuresOf(endpoint, schemas);
    for (const [status, answer] of Object.entries(endpoint.answers)) {
        const failure = responses[status] as ResponseObject | undefined;
        const response = successOf(endpoint, status, answer, schemas);
        // Failures of pages: JSON for some callers, and the page for the others.
        responses[status] = failure === undefined ? response : { ...failure, content: { ...failure.content, ...response.content } };
    }
    return responses;
}

const outcomes: Readonly<Record<string, string>> = {
    200: 'It worked.',
    201: 'It was made.',
    202: 'It will be done.',
    204: 'It is done; there is no body.',
    302: 'Go on at `Location`.',
    304: 'Unchanged since the `ETag` that was sent.',
    400: 'It failed; the page says why.',
    500: 'Something is broken in Valetkey, or in reach of it; the page says so.',
    503: 'Not now.',
};

function successOf({ points, creates }: Endpoint, status: string, answer: z.ZodType | null | string, schemas: Schemas): ResponseObject {
    const isLimited = points !== 0;
    const location = status.startsWith('30') && status !== '304' ? { Location: { description: 'Where to go on.', schema: { type: 'string' } } } : {};
    const replayed = creates ? { 'Idempotent-Replayed': { $ref: '#/components/headers/Idempotent-Replayed' } } : {};
    const headers = { ...location, ...replayed, ...(isLimited ? rateLimitHeaders : {}) };
    return {
        description: outcomes[status] ?? 'Answered.',
        ...(Object.keys(headers).length === 0 ? {} : { headers }),
        ...(answer === null ? {} : { content: contentOf(answer, schemas) }),
    };
}

const contentOf = (answer: z.ZodType | string, schemas: Schemas): Record<string, MediaType> =>
    typeof answer === 'string' ? { [answer]: { schema: { type: 'string' } } } : { [json]: withSample(schemas.get(answer, 'output'), schemas, false) };
