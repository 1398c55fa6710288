/**
 * An OAuth 1.0a server that nobody here wrote: `passport-http-oauth` verifies every signature, nonce and timestamp, `oauthorize`
 * issues and exchanges tokens. This file gives them a store in memory, a port, and faults.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { listen, readBody } from './http-server.ts';

const require = createRequire(import.meta.url);

type Done<Values extends unknown[]> = (error: unknown, ...values: Values) => void;
type Middleware = (request: Request, response: ServerResponse, next: (error?: unknown) => void) => void;

interface Request extends IncomingMessage {
    query?: Record<string, string>;
    body?: Record<string, string>;
    user?: unknown;
    authInfo?: unknown;
    session?: Record<string, unknown>;
    oauth?: { transactionID: string };
}

interface Strategy {
    authenticate(request: Request): void;
}

const { ConsumerStrategy, TokenStrategy } = require('passport-http-oauth') as Record<string, new (...functions: unknown[]) => Strategy>;
const oauthorize = require('oauthorize') as {
    createServer(): {
        requestToken(issue: unknown): Middleware;
        accessToken(verify: unknown, issue: unknown): Middleware;
        userAuthorization(validate: unknown): Middleware;
        userDecision(options: unknown, parse: unknown, issue: unknown): Middleware;
        serializeClient(serialize: unknown): void;
    };
};
const utils = require('passport-http-oauth/lib/passport-http-oauth/strategies/utils') as {
    encode(text: string): string;
    plaintext(consumerSecret: string, tokenSecret: string): string;
};
// The package encodes the whole once more, as drafts before RFC 5849 had it; its §3.4.4 does not.
utils.plaintext = (consumerSecret, tokenSecret) => `${utils.encode(consumerSecret)}&${utils.encode(tokenSecret)}`;

interface Issued {
    secret: string;
    callback?: string;
    verifier?: string;
}

export interface Oauth1Request {
    method: string;
    path: string;
    authorization: string;
    body: string;
}

export interface Oauth1Server {
    url: string;
    consumerKey: string;
    consumerSecret: string;
    /** Everything that was asked of it, oldest first. */
    requests: Oauth1Request[];
    /** Answers in place of the server, by path. */
    faults: Map<string, (response: ServerResponse) => void>;
    /** The user consents, or not. @returns where the browser is sent */
    authorize(authorizationUrl: string, decision?: 'allow' | 'deny'): Promise<string>;
    close(): Promise<void>;
}

export async function startOauth1Server(): Promise<Oauth1Server> {
    const consumerKey = 'consumer key';
    const consumerSecret = 'consumer&secret=ü';
    const temporary = new Map<string, Issued>();
    const access = new Map<string, Issued>();
    const nonces = new Set<string>();
    const random = (): string => randomBytes(12).toString('base64');

    const findConsumer = (key: string, done: Done<unknown[]>): void =>
        key === consumerKey ? done(null, { key }, consumerSecret) : done(null, false);
    const isFresh = (timestamp: string, nonce: string, done: Done<[boolean]>): void => {
        const fresh = Math.abs(Number(timestamp) - Date.now() / 1000) < 300 && !nonces.has(nonce);
        nonces.add(nonce);
        done(null, fresh);
    };
    const asConsumer = new ConsumerStrategy!(
        findConsumer,
        (token: string, done: Done<unknown[]>) => done(null, temporary.get(token)?.secret ?? false, temporary.get(token)),
        isFresh,
    );
    const asUser = new TokenStrategy!(
        findConsumer,
        (token: string, done: Done<unknown[]>) => (access.has(token) ? done(null, { name: 'ann' }, access.get(token)!.secret) : done(null, false)),
        isFresh,
    );
    const server = oauthorize.createServer();
    server.serializeClient((client: { key: string }, done: Done<[string]>) => done(null, client.key));
    const issue = (tokens: Map<string, Issued>, rest: Partial<Issued>): [string, string] => {
        const [token, secret] = [random(), random()];
        tokens.set(token, { secret, ...rest });
        return [token, secret];
    };

    const steps: Record<string, Middleware[]> = {
        '/request': [
            authenticated(asConsumer),
            server.requestToken((_client: unknown, callback: string, done: Done<[string, string]>) => done(null, ...issue(temporary, { callback }))),
        ],
        '/authorize': [
            server.userAuthorization((token: string, done: Done<[unknown, string | undefined]>) =>
                temporary.has(token) ? done(null, { key: consumerKey }, temporary.get(token)!.callback) : done(null, false, undefined),
            ),
            (request, _response, next) => {
                request.body = request.query?.['decision'] === 'deny' ? { cancel: 'x' } : {};
                next();
            },
            server.userDecision(
                { loadTransaction: false },
                (_request: unknown, done: Done<[]>) => done(null),
                (token: string, _user: unknown, _answer: unknown, done: Done<[string]>) => {
                    const verifier = random();
                    temporary.get(token)!.verifier = verifier;
                    done(null, verifier);
                },
            ),
        ],
        '/token': [
            authenticated(asConsumer),
            server.accessToken(
                (token: string, verifier: string, done: Done<[boolean]>) => done(null, temporary.get(token)?.verifier === verifier),
                (_client: unknown, token: string, done: Done<[string, string, unknown]>) => {
                    temporary.delete(token);
                    done(null, ...issue(access, {}), { screen_name: 'ann & co' });
                },
            ),
        ],
        '/me': [authenticated(asUser), (_request, response) => void response.end(JSON.stringify({ name: 'ann' }))],
    };

    const requests: Oauth1Request[] = [];
    const faults = new Map<string, (response: ServerResponse) => void>();
    const session = {};
    const { port, close } = await listen((request: Request, response) => {
        void readBody(request).then((body) => {
            const url = new URL(request.url ?? '/', 'http://127.0.0.1');
            const isForm = request.headers['content-type'] === 'application/x-www-form-urlencoded';
            Object.assign(request, {
                query: Object.fromEntries(url.searchParams),
                body: isForm ? Object.fromEntries(new URLSearchParams(body.toString())) : {},
                session,
            });
            Object.assign(response, { redirect: (location: string) => response.writeHead(302, { location }).end() });
            requests.push({
                method: request.method ?? '',
                path: url.pathname,
                authorization: request.headers.authorization ?? '',
                body: body.toString(),
            });
            const fault = faults.get(url.pathname);
            if (fault !== undefined) {
                fault(response);
                return;
            }
            run(steps[url.pathname] ?? [], request, response);
        });
    });
    const url = `http://127.0.0.1:${port}`;
    return {
        url,
        consumerKey,
        consumerSecret,
        requests,
        faults,
        authorize: async (authorizationUrl, decision = 'allow') => {
            const asked = new URL(authorizationUrl);
            asked.searchParams.set('decision', decision);
            const answer = await fetch(asked, { redirect: 'manual' });
            const location = answer.headers.get('location');
            if (location === null) {
                throw new Error(`the authorization page answered ${answer.status}: ${await answer.text()}`);
            }
            return location;
        },
        close,
    };
}

/** What passport itself does around a strategy. */
function authenticated(strategy: Strategy): Middleware {
    return (request, response, next) => {
        const attempt = Object.create(strategy) as Strategy & Record<string, unknown>;
        attempt['success'] = (user: unknown, info: unknown) => {
            Object.assign(request, { user, authInfo: info });
            next();
        };
        attempt['fail'] = (challenge: unknown, status?: number) => {
            response.writeHead(status ?? 401, { 'www-authenticate': String(challenge) }).end();
        };
        attempt['error'] = next;
        attempt.authenticate(request);
    };
}

function run([step, ...rest]: Middleware[], request: Request, response: ServerResponse): void {
    if (step === undefined) {
        response.writeHead(404).end();
        return;
    }
    step(request, response, (error) => {
        if (error !== undefined) {
            response.writeHead(401).end(error instanceof Error ? error.message : '');
        } else {
            run(rest, request, response);
        }
    });
}
