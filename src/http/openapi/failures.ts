/** How an endpoint can fail, as its declaration tells: what every endpoint of its kind answers, and the codes it adds itself. */
import type { Authentication } from '../authentication.ts';
import { anyQuery, type Endpoint } from '../endpoint.ts';
import type { JsonSchema, Reference, ResponseObject } from './description.ts';
import { LegacyError, RateLimitError, SimpleError, ValidationError } from './error-envelopes.ts';
import type { Schemas } from './schemas.ts';

const reasons = {
    400: 'The request is not valid.',
    401: 'Who is calling could not be established.',
    403: 'The caller may not do this.',
    404: 'There is no such thing.',
    409: 'It conflicts with what is there.',
    424: 'What it depends on, at the provider, does not work at present.',
    500: 'Something is broken in Valetkey, or in reach of it.',
} as const;

const keyCodes = ['missing_auth_header', 'invalid_secret_key_format', 'unknown_account'];
const sessionCodes = ['invalid_connect_session_token_format', 'unknown_connect_session_token', 'unknown_account'];

/** http-api §1.3. */
const refusals: Readonly<Record<Exclude<Authentication['by'], 'nothing'>, { name: string; reason: string; codes: readonly string[] }>> = {
    'API key': { name: 'ApiKeyRefused', reason: 'There is no valid API key.', codes: keyCodes },
    'connect session': {
        name: 'ConnectSessionRefused',
        reason: 'There is no valid connect session.',
        codes: ['missing_auth_header', ...sessionCodes],
    },
    'connect session or API key': {
        name: 'CallerRefused',
        reason: 'There is neither a valid API key nor a valid connect session.',
        codes: [...new Set([...keyCodes, ...sessionCodes])],
    },
    'connect session in query': {
        name: 'ConnectSessionInQueryRefused',
        reason: 'There is no valid connect session in the query.',
        codes: ['missing_public_key', 'invalid_public_key', 'deprecated_authentication', ...sessionCodes],
    },
    'connect session in body': {
        name: 'ConnectSessionInBodyRefused',
        reason: 'There is no valid connect session in the body.',
        codes: ['missing_auth_header', ...sessionCodes],
    },
};

const envelopes = { simple: SimpleError, legacy: LegacyError, validation: ValidationError, rate: RateLimitError } as const;
type Envelope = keyof typeof envelopes;

export const addEnvelopes = (schemas: Schemas): void => Object.values(envelopes).forEach((envelope) => schemas.add(envelope, 'output'));

/** Failures that are the same wherever they occur, for `components.responses`. */
export function sharedFailures(schemas: Schemas): Record<string, ResponseObject> {
    const refused = Object.values(refusals).map(({ name, reason, codes }) => [
        name,
        failure(schemas, reason, codes, codes.includes('deprecated_authentication') ? ['legacy', 'simple'] : ['legacy']),
    ]);
    return {
        ...(Object.fromEntries(refused) as Record<string, ResponseObject>),
        Forbidden: failure(schemas, reasons[403], ['forbidden'], ['simple']),
        StillUnderWay: failure(schemas, 'The first request with this key has not been answered yet.', ['idempotency_key_in_progress'], ['simple']),
        KeyReused: failure(schemas, 'The key was used for another request.', ['idempotency_key_reused'], ['simple']),
        TooLarge: failure(schemas, 'The request body is larger than this server takes.', ['request_too_large'], ['simple']),
        NotJson: failure(schemas, 'The `Content-Type` is not JSON.', ['invalid_content_type'], ['simple']),
        TooManyRequests: {
            ...failure(schemas, 'The minute’s budget is used up; `Retry-After` says for how many seconds to wait.', ['too_many_request'], ['rate']),
            headers: { ...rateLimitHeaders, 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 1 } } },
        },
        Unexpected: failure(schemas, reasons[500], ['generic_error_support'], ['legacy']),
    };
}

export const rateLimitHeaders: Readonly<Record<string, Reference>> = Object.fromEntries(
    ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
);

/** By status. */
export function failuresOf(endpoint: Endpoint, schemas: Schemas): Record<string, ResponseObject | Reference> {
    const generic = genericFailures(endpoint);
    const shared = sharedFailures(schemas);
    const responses: Record<string, ResponseObject | Reference> = {};
    for (const status of new Set([...Object.keys(generic), ...Object.keys(endpoint.errors ?? {})])) {
        const known = generic[status] ?? { name: undefined, codes: [] };
        const own = (endpoint.errors?.[Number(status)] ?? []).filter((code) => !known.codes.includes(code));
        if (known.name === undefined || own.length > 0) {
            responses[status] = failure(schemas, reasonOf(status), [...known.codes, ...own], envelopesOf(status, known.codes, own));
        } else {
            // Written out where something else can be answered with the same status.
            const isAlone = endpoint.answers[Number(status)] === undefined;
            responses[status] = isAlone ? { $ref: `#/components/responses/${known.name}` } : shared[known.name]!;
        }
    }
    return responses;
}

const reasonOf = (status: string): string => (reasons as Readonly<Record<string, string>>)[status] ?? 'It failed.';

interface Generic {
    /** In `components.responses`. */
    name: string | undefined;
    codes: readonly string[];
}

function genericFailures(endpoint: Endpoint): Record<string, Generic> {
    const { authenticate, access, method, query, params, body, onError } = endpoint;
    const takesBody = method !== 'GET';
    const invalid = [
        ...(takesBody ? ['invalid_json'] : []),
        ...(query === anyQuery ? [] : ['invalid_query_params']),
        ...(params === undefined ? [] : ['invalid_uri_params']),
        ...(body === undefined ? [] : ['invalid_body']),
        ...(endpoint.creates ? ['invalid_idempotency_key'] : []),
    ];
    const shared = (status: number, isPossible: boolean, name: string, codes: readonly string[]): Record<string, Generic> =>
        isPossible ? { [status]: { name, codes } } : {};
    const refusal = authenticate.by === 'nothing' ? undefined : refusals[authenticate.by];
    return {
        ...(invalid.length === 0 ? {} : { 400: { name: undefined, codes: invalid } }),
        ...(refusal === undefined ? {} : { 401: refusal }),
        ...shared(403, access !== 'anyone' && access !== 'connect session', 'Forbidden', ['forbidden']),
        ...shared(409, endpoint.creates === true, 'StillUnderWay', ['idempotency_key_in_progress']),
        ...shared(422, endpoint.creates === true, 'KeyReused', ['idempotency_key_reused']),
        ...shared(413, takesBody, 'TooLarge', ['request_too_large']),
        ...shared(415, !endpoint.anyContentType, 'NotJson', ['invalid_content_type']),
        // Failed authentications count for the caller's address, whatever the endpoint costs.
        ...shared(429, endpoint.points !== 0 || refusal !== undefined, 'TooManyRequests', ['too_many_request']),
        // One that answers its failures itself says how among its answers.
        ...shared(500, onError === undefined, 'Unexpected', ['generic_error_support']),
    };
}

/** Shape C with a payload that is an object is also a case of B's schema, where an endpoint's own codes are in either. */
function envelopesOf(status: string, generic: readonly string[], own: readonly string[]): Envelope[] {
    const isLegacy = generic.includes('generic_error_support') || (status === '401' && generic.length > 0);
    const isSimple = own.length > 0 || !isLegacy;
    const isValidation = status === '400' && generic.some((code) => code !== 'invalid_json');
    return [
        ...(isValidation ? (['validation'] as const) : []),
        ...(isSimple ? (['simple'] as const) : []),
        ...(isLegacy ? (['legacy'] as const) : []),
    ];
}

function failure(schemas: Schemas, description: string, codes: readonly string[], kinds: readonly Envelope[]): ResponseObject {
    const bodies = kinds.map((kind): JsonSchema => schemas.get(envelopes[kind], 'output'));
    return {
        description: `${description} ${codes.length === 1 ? 'Code' : 'Codes'}: ${codes.map((code) => `\`${code}\``).join(', ')}.`,
        content: { 'application/json': { schema: bodies.length === 1 ? bodies[0]! : { anyOf: bodies } } },
        'x-codes': codes,
    };
}
