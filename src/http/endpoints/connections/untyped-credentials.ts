/** The credentials of the deprecated import: bare members of the body, named as old clients name them (http-api §8.4). */
import type { SubmittedCredentials } from '../../../connect/imported-credentials.ts';
import { parseExpiresIn, parseStoredExpiry } from '../../../credentials/expiry.ts';
import { ApiError } from '../../errors.ts';

type Body = Readonly<Record<string, unknown>>;

export interface UntypedCredentials {
    credentials: SubmittedCredentials;
    raw?: Record<string, unknown>;
}

/** What a body can lack, by the mode of its integration. */
export const untypedCredentialsErrors = [
    'unknown_oauth_type',
    'missing_access_token',
    'missing_expires_at',
    'invalid_expires_at',
    'missing_oauth_token',
    'missing_oauth_token_secret',
    'missing_basic_username',
    'missing_api_key',
    'missing_app_id',
    'missing_installation_id',
    'missing_token_id',
    'missing_token_secret',
] as const;

/** @throws ApiError 400 with a code that names what is missing */
export function untypedCredentials(mode: string, body: Body, now: number): UntypedCredentials {
    switch (mode) {
        case 'OAUTH2':
            return oauth2(body, now);
        case 'OAUTH2_CC':
            return { credentials: client(body, now) };
        case 'OAUTH1':
            return {
                credentials: { type: mode, oauth_token: required(body, 'oauth_token'), oauth_token_secret: required(body, 'oauth_token_secret') },
            };
        case 'BASIC':
            return { credentials: basic(body) };
        case 'API_KEY':
            return { credentials: { type: mode, apiKey: required(body, 'api_key') } };
        case 'APP':
            return { credentials: { type: mode, app_id: required(body, 'app_id'), installation_id: required(body, 'installation_id') } };
        case 'TBA':
            return {
                credentials: {
                    type: mode,
                    token_id: required(body, 'token_id'),
                    token_secret: required(body, 'token_secret'),
                    config_override: override(body),
                },
            };
        case 'NONE':
            return { credentials: { type: mode } };
        default:
            throw ApiError.legacy(400, 'unknown_oauth_type', `Connections of the mode ${mode} cannot be imported here.`);
    }
}

function oauth2(body: Body, now: number): UntypedCredentials {
    const accessToken = required(body, 'access_token');
    const refreshToken = textIn(body, 'refresh_token');
    const expiresAt = expiryOf(body, now);
    const app = override(body);
    return {
        credentials: {
            type: 'OAUTH2',
            access_token: accessToken,
            ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
            ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
            ...(Object.keys(app).length === 0 ? {} : { config_override: app }),
        },
        ...(isObject(body['raw']) ? { raw: body['raw'] } : {}),
    };
}

/** `undefined`: the caller says that it does not expire. */
function expiryOf(body: Body, now: number): string | undefined {
    if (body['no_expiration'] === true) {
        return undefined;
    }
    const { expires_in: lifetime } = body;
    const end = isAbsent(lifetime) ? null : parseExpiresIn(lifetime, now);
    if (!isAbsent(lifetime) && end === null) {
        throw ApiError.legacy(400, 'invalid_expires_at', 'expires_in must be a number of seconds.');
    }
    const expiresAt = parseStoredExpiry(body['expires_at'], now) ?? end;
    if (expiresAt === null) {
        throw ApiError.legacy(400, 'missing_expires_at', 'expires_at must be a date, unless expires_in is given or no_expiration is true.');
    }
    return new Date(expiresAt).toISOString();
}

function client(body: Body, now: number): SubmittedCredentials {
    const token = required(body, 'access_token');
    const date = body['expires_at'];
    if (!isAbsent(date) && parseStoredExpiry(date, now) === null) {
        throw ApiError.legacy(400, 'invalid_expires_at', 'expires_at must be a date.');
    }
    const { client_id = '', client_secret = '' } = override(body);
    return { type: 'OAUTH2_CC', token, client_id, client_secret, ...(isAbsent(date) ? {} : { expires_at: date }) };
}

/** Either half may be empty, but not both. */
function basic(body: Body): SubmittedCredentials {
    const [username, password] = [body['username'], body['password']];
    if (typeof username !== 'string' || (username === '' && !password)) {
        throw ApiError.legacy(400, 'missing_basic_username', 'username is missing.');
    }
    return { type: 'BASIC', username, password: typeof password === 'string' ? password : '' };
}

function override(body: Body): { client_id?: string; client_secret?: string } {
    const [id, secret] = [textIn(body, 'oauth_client_id_override'), textIn(body, 'oauth_client_secret_override')];
    return { ...(id === undefined ? {} : { client_id: id }), ...(secret === undefined ? {} : { client_secret: secret }) };
}

/** @throws ApiError 400 `missing_…` */
function required(body: Body, name: string): string {
    const value = textIn(body, name);
    if (value === undefined) {
        throw ApiError.legacy(400, `missing_${name}`, `${name} is missing.`);
    }
    return value;
}

/** Ids may be sent as numbers. */
function textIn(body: Body, name: string): string | undefined {
    const value = body[name];
    return typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === '';

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
