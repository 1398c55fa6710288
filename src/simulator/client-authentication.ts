/** Client authentication at a token endpoint, in exactly the declared place and form, and in no other (RFC 6749 §2.3). */
import type { Entry } from './entry.ts';
import { assertAssertion } from './assertions.ts';
import { invalidClient } from './refusal.ts';
import { basicPair, forbidden, type TwinRequest } from './twin-request.ts';
import type { Call } from './twin.ts';

export type ClientPlace =
    | 'body'
    /** Both halves form-encoded first (RFC 6749 §2.3.1). */
    | 'basic'
    /** Both halves as they are. */
    | 'basic as it is'
    /** The secret as user, an empty password. */
    | 'basic secret'
    | 'username and password'
    | 'assertion'
    /** A public client: an id, no secret. */
    | 'public'
    | 'nothing';

export function declaredPlace(entry: Entry): ClientPlace {
    const basic = entry.basic_encoding === 'raw' ? 'basic as it is' : 'basic';
    if (entry.authorization_method === 'header') return basic;
    switch (entry.token_request_auth_method) {
        case 'basic':
            return basic;
        case 'basic_secret':
            return 'basic secret';
        case 'custom':
            return 'username and password';
        case 'private_key_jwt':
            return 'assertion';
        default:
            return 'body';
    }
}

export interface Client {
    readonly id: string;
    readonly secret: string | undefined;
}

/** @throws Refusal `invalid_client`. Remembers nothing; see `acceptClient`. */
export async function readClient(call: Call, params: Readonly<Record<string, unknown>>, place: ClientPlace): Promise<Client> {
    const client = await presentedClient(call, params, place);
    call.world.credentials.check(call.entry, asCredential(client), invalidClient);
    return client;
}

export function acceptClient(call: Call, client: Client): void {
    call.world.credentials.accept(call.entry, asCredential(client), invalidClient);
}

const asCredential = ({ id, secret }: Client) => ({ id, secrets: secret === undefined ? {} : { client_secret: secret } });

async function presentedClient(call: Call, params: Readonly<Record<string, unknown>>, place: ClientPlace): Promise<Client> {
    const { request } = call;
    if (!place.startsWith('basic') && request.headers['authorization'] !== undefined) {
        throw invalidClient(`There is an Authorization header, but this provider takes the client in another place (${place}).`);
    }
    switch (place) {
        case 'basic':
            forbiddenSecret(params);
            return basicClient(request, params, formDecoded);
        case 'basic as it is':
            forbiddenSecret(params);
            return basicClient(request, params, (text) => text);
        case 'basic secret': {
            const pair = basicPair(request);
            if (pair === undefined || pair.user === '') throw invalidClient('The Authorization header must be Basic, with the secret as user.');
            if (pair.password !== '') throw invalidClient('The password in the Basic header must be empty.');
            forbidden(params, 'client_id', 'client_secret');
            return { id: formDecoded(pair.user), secret: undefined };
        }
        case 'username and password':
            forbidden(params, 'client_id', 'client_secret');
            return { id: textIn(params, 'username'), secret: textIn(params, 'password') };
        case 'assertion': {
            forbiddenSecret(params);
            const id = textIn(params, 'client_id');
            if (params['client_assertion_type'] !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') {
                throw invalidClient('The parameter "client_assertion_type" must be the one of JWT assertions (RFC 7523 §2.2).');
            }
            await assertAssertion(call, textIn(params, 'client_assertion'), {
                algorithms: ['RS256'],
                issuer: id,
                subject: id,
                audience: call.request.url.href,
                longestSeconds: 600,
                keyOf: id,
            });
            return { id, secret: undefined };
        }
        case 'public':
            forbiddenSecret(params);
            return { id: textIn(params, 'client_id'), secret: undefined };
        case 'nothing':
            forbidden(params, 'client_id', 'client_secret');
            return { id: '', secret: undefined };
        case 'body':
            return { id: textIn(params, 'client_id'), secret: textIn(params, 'client_secret') };
    }
}

function basicClient(request: TwinRequest, params: Readonly<Record<string, unknown>>, decoded: (text: string) => string): Client {
    const pair = basicPair(request);
    if (pair === undefined) throw invalidClient('The client must be in a Basic header: id, colon, secret.');
    const [id, secret] = [decoded(pair.user), decoded(pair.password)];
    if (id === '' || secret === '') throw invalidClient('The Basic header lacks the id or the secret of the client.');
    if (params['client_id'] !== undefined && params['client_id'] !== id)
        throw invalidClient('The client in the body is another one than in the header.');
    return { id, secret };
}

/** One method per request: a secret in the body beside a header is refused by strict servers, and so it is here. */
function forbiddenSecret(params: Readonly<Record<string, unknown>>): void {
    if (params['client_secret'] !== undefined) {
        throw invalidClient('There is a "client_secret" in the body, but this provider takes the client in another place.');
    }
}

function textIn(params: Readonly<Record<string, unknown>>, name: string): string {
    const value = params[name];
    if (typeof value !== 'string' || value === '') throw invalidClient(`The parameter "${name}" is missing.`);
    return value;
}

export function formDecoded(text: string): string {
    try {
        return decodeURIComponent(text.replaceAll('+', ' '));
    } catch {
        throw invalidClient('A half of the Basic header is not form-encoded (RFC 6749 §2.3.1).');
    }
}
