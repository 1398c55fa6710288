/**
 * Holds the server of every HTTP test to the API's description: whatever it answers has to be a status, a media type, a body
 * and an error code that the description has for that route, and every body that it accepts one that the description allows.
 */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Endpoint } from '../../src/http/endpoint.ts';
import { resolved, type Method, type Operation, type ResponseObject } from '../../src/http/openapi/description.ts';
import { templateOf } from '../../src/http/openapi/parameters.ts';
import { description, endpoints } from './declarations.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema(description, 'api');
const validators = new Map<string, ValidateFunction>();

/** By a JSON pointer into the description, part by part. */
function validatorAt(...parts: string[]): ValidateFunction {
    const pointer = parts.map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');
    const known = validators.get(pointer) ?? ajv.compile({ $ref: `api#${pointer}` });
    validators.set(pointer, known);
    return known;
}

const faultsOf = (validate: ValidateFunction, value: unknown): string[] =>
    validate(value)
        ? []
        : (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath || 'the body'} ${message} ${JSON.stringify(params)}`);

export class DeclaredAnswers {
    readonly #broken: string[] = [];

    /** Before the server is ready. */
    watch(server: FastifyInstance): void {
        server.addHook('onSend', (request, reply, payload, done) => {
            this.#broken.push(...check(request, reply, payload));
            done(null, payload);
        });
    }

    /** @throws Error naming what was answered otherwise than described since it was last asked. */
    assertKept(): void {
        const broken = this.#broken.splice(0);
        if (broken.length > 0) {
            throw new Error(`not as the API's description has it:\n${broken.join('\n')}`);
        }
    }
}

function check(request: FastifyRequest, reply: FastifyReply, sent: unknown): string[] {
    const { url } = request.routeOptions;
    const endpoint = url === undefined ? undefined : endpoints.find(({ method, paths }) => method === request.method && paths.includes(url));
    if (url === undefined || endpoint === undefined) {
        return [];
    }
    const path = templateOf(url);
    const method = request.method.toLowerCase() as Method;
    const operation = description.paths[path]![method]!;
    const { statusCode } = reply;
    const type = String(reply.getHeader('content-type') ?? '').split(';')[0]!;
    const payload = readable(reply, sent);
    const faults =
        statusCode < 400
            ? [...checkRequest(path, method, operation, request), ...checkSuccess(path, method, endpoint, operation, { statusCode, type, payload })]
            : checkFailure(path, method, operation, { statusCode, type, payload });
    return faults.map((fault) => `${request.method} ${path}, answered with ${statusCode}: ${fault}`);
}

function readable(reply: FastifyReply, payload: unknown): unknown {
    switch (reply.getHeader('content-encoding')) {
        case 'br':
            return brotliDecompressSync(payload as Buffer).toString();
        case 'gzip':
            return gunzipSync(payload as Buffer).toString();
        default:
            return payload;
    }
}

interface Sent {
    statusCode: number;
    type: string;
    payload: unknown;
}

/** The description may not refuse what the server accepts. */
function checkRequest(path: string, method: Method, operation: Operation, { body }: FastifyRequest): string[] {
    const { requestBody } = operation;
    if (requestBody === undefined || (body === undefined && !requestBody.required)) {
        return [];
    }
    return faultsOf(validatorAt('paths', path, method, 'requestBody', 'content', 'application/json', 'schema'), body).map(
        (fault) => `the request was accepted, but ${fault}`,
    );
}

function checkSuccess(path: string, method: Method, endpoint: Endpoint, operation: Operation, sent: Sent): string[] {
    const answer = endpoint.answers[sent.statusCode];
    if (answer === undefined || operation.responses[sent.statusCode] === undefined) {
        return ['this status is not described'];
    }
    if (answer === null) {
        return sent.payload == null || sent.payload === '' ? [] : ['a body is not described'];
    }
    if (typeof answer === 'string') {
        return sent.type === answer || answer === '*/*' ? [] : [`the type is ${sent.type}`];
    }
    if (sent.type !== 'application/json') {
        return [`the type is ${sent.type}`];
    }
    const body: unknown = JSON.parse(String(sent.payload));
    const described = validatorAt('paths', path, method, 'responses', String(sent.statusCode), 'content', 'application/json', 'schema');
    // The description has what JSON Schema can say and refuses unknown members; formats and the like are in the declaration.
    const parsed = answer.safeParse(body);
    return [...faultsOf(described, body), ...(parsed.error?.issues ?? []).map(({ path: place, message }) => `/${place.join('/')} ${message}`)];
}

function checkFailure(path: string, method: Method, operation: Operation, sent: Sent): string[] {
    const reference = operation.responses[sent.statusCode];
    const response = reference === undefined ? undefined : resolved<ResponseObject>(description, reference);
    if (response?.content?.[sent.type] === undefined) {
        return [`the type is ${sent.type}, which is not described`];
    }
    if (sent.type !== 'application/json') {
        return [];
    }
    const body = JSON.parse(String(sent.payload)) as { error?: { code?: string } };
    const place = '$ref' in reference! ? String(reference.$ref).split('/').slice(1) : ['paths', path, method, 'responses', String(sent.statusCode)];
    const isKnown = response['x-codes']?.includes(body.error?.code ?? '') ?? true;
    return [
        ...faultsOf(validatorAt(...place, 'content', 'application/json', 'schema'), body),
        ...(isKnown ? [] : [`the code ${body.error?.code} is not described`]),
    ];
}
