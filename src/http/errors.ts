/** The error envelopes of the API (http-api §1.5). `code` and status are the contract; messages are for people. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { ConnectFailure } from '../auth-modes/auth-mode.ts';
import { Refusal, type RefusalCode } from '../environments/refusal.ts';
import { newRandomId, type Sources } from '../sources.ts';

export interface Issue {
    code: string;
    message: string;
    path: string[];
}

export class ApiError extends Error {
    override readonly name = 'ApiError';
    readonly status: number;
    readonly body: { error: Record<string, unknown> };
    readonly headers: Readonly<Record<string, string>>;

    private constructor(status: number, error: Record<string, unknown>, headers: Readonly<Record<string, string>> = {}) {
        super(String(error['code']));
        this.status = status;
        this.body = { error };
        this.headers = headers;
    }

    /** Shape A: validation. @param isShown the frontend client shows the message, and knows nothing of `errors` (http-api §12, do better). */
    static invalid(
        code: 'invalid_body' | 'invalid_query_params' | 'invalid_uri_params',
        errors: Issue[],
        { isShown = false }: { isShown?: boolean } = {},
    ): ApiError {
        const message = errors.map((issue) => [...issue.path, issue.message].join(': ')).join('; ');
        return new ApiError(400, { code, ...(isShown ? { message } : {}), errors });
    }

    /** Shape B. */
    static simple(status: number, code: string, message: string, headers?: Readonly<Record<string, string>>): ApiError {
        return new ApiError(status, { code, message }, headers);
    }

    /** Shape C: legacy, with a payload. */
    static legacy(status: number, code: string, message: string, payload: Record<string, unknown> = {}): ApiError {
        return new ApiError(status, { message, code, payload });
    }

    /** Shape B with a payload: credentials that cannot be handed out (http-api §8.2). */
    static withPayload(
        status: number,
        code: string,
        message: string,
        payload: Record<string, unknown>,
        headers?: Readonly<Record<string, string>>,
    ): ApiError {
        return new ApiError(status, { code, message, payload }, headers);
    }

    /** 429 has the route in place of a message. */
    static tooManyRequests(method: string, path: string, headers: Readonly<Record<string, string>>): ApiError {
        return new ApiError(429, { code: 'too_many_request', message: 'Too many requests; see Retry-After.', method, path }, headers);
    }
}

/** Zod's issues as the contract has them: path parts are text, nothing of the input is repeated. */
export const toIssues = (error: z.ZodError): Issue[] =>
    error.issues.map((issue) => ({ code: issue.code, message: issue.message, path: issue.path.map(String) }));

/** Status of each connect failure on the JSON endpoints (http-api §12.1). */
export const connectStatus: Readonly<Record<string, number>> = {
    unknown_provider_config: 404,
    unknown_provider_template: 404,
    verification_unavailable: 503,
    aws_sigv4_sts_request_failed: 502,
};

/** Failures of single modes that clients know in shape C (§12.2, §12.3). */
const legacyFailures: ReadonlySet<string> = new Set([
    'missing_client_id',
    'missing_client_secret',
    'missing_token_url',
    'client_credentials_fetch_error',
    'incomplete_raw_credentials',
    'missing_token_body',
    'missing_signature_type',
    'failed_to_sign',
    'missing_aws_sigv4_service',
    'missing_aws_sigv4_sts_endpoint',
    'missing_aws_sigv4_builtin_credentials',
    'missing_aws_sigv4_region',
    'invalid_aws_sigv4_config',
    'aws_sigv4_sts_request_failed',
]);

const refusalStatus: Readonly<Record<RefusalCode, number>> = {
    not_found: 404,
    conflict: 409,
    resource_capped: 400,
    forbidden: 403,
    last_full_access_key: 409,
    managed_by_configuration: 409,
    key_replaced: 409,
    key_expired: 409,
    invalid_is_prod_flag: 400,
    cannot_delete_prod_environment: 400,
};

export function toApiError(error: unknown): ApiError | undefined {
    if (error instanceof ApiError) {
        return error;
    }
    if (error instanceof ConnectFailure) {
        if (error.type === 'unknown_connect_session_token') {
            return ApiError.legacy(401, error.type, error.message);
        }
        const status = connectStatus[error.type] ?? 400;
        if (legacyFailures.has(error.type)) {
            return ApiError.legacy(status, error.type, error.message);
        }
        return ApiError.simple(status, error.type === 'url_param_err' ? 'invalid_query_params' : error.type, error.message);
    }
    if (error instanceof Refusal) {
        return ApiError.simple(refusalStatus[error.code], error.code, error.message);
    }
    return frameworkError(error as FastifyError);
}

/** What Fastify rejects before a handler runs. */
function frameworkError(error: FastifyError): ApiError | undefined {
    switch (error.code) {
        case 'FST_ERR_CTP_BODY_TOO_LARGE':
            return ApiError.simple(413, 'request_too_large', 'The request body is too large.');
        case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
            return ApiError.simple(415, 'invalid_content_type', 'The Content-Type must be application/json.');
        case 'FST_ERR_CTP_INVALID_JSON_BODY':
        case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
            return ApiError.simple(400, 'invalid_json', 'The request body is not valid JSON.');
        case 'FST_ERR_BAD_URL':
            return ApiError.simple(400, 'invalid_uri_params', 'The path is not a valid URL path.');
        case 'FST_ERR_MAX_PARAM_LENGTH':
            return ApiError.simple(400, 'invalid_uri_params', 'A part of the path is too long.');
        default:
            return undefined;
    }
}

/** Answers any error; an unexpected one gives away nothing but a number to find it by (E5). */
export function errorHandler(sources: Sources) {
    return (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
        const known = toApiError(error);
        if (known !== undefined) {
            return reply.code(known.status).headers(known.headers).send(known.body);
        }
        const support = newRandomId(sources);
        request.log.error({ err: error, support }, 'request failed unexpectedly');
        return reply.code(500).send({
            error: {
                message: `Something went wrong in Valetkey; its log has the details under ${support}.`,
                code: 'generic_error_support',
                payload: support,
            },
        });
    };
}

export const notFound = (_request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    reply.code(404).send({ error: { code: 'not_found', message: 'There is nothing at this path.' } });
