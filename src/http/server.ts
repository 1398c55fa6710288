/**
 * The API surface, one file per resource under `endpoints/`. This file builds the server they are registered on: parsing,
 * CORS, security headers, errors, the outcome socket. It decides nothing about connections or credentials.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { parse as parseFlatQuery } from 'node:querystring';
import cookie from '@fastify/cookie';
import cors from '@fastify/cors';
import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { parse as parseNestedQuery } from 'qs';
import type { Config } from '../config.ts';
import { registerEndpoint } from './endpoint.ts';
import { endpointsOf, probesOf } from './endpoints/index.ts';
import { errorHandler, notFound } from './errors.ts';
import { RateLimits } from './rate-limit.ts';
import { securityHeaders } from './security-headers.ts';
import type { Services } from './services.ts';
import { acceptSockets } from './socket-upgrades.ts';
import { sendBeforeClosing } from './unsent-answers.ts';

/** proxy-addr's form: hop 0 is who the socket belongs to. */
function trustedBy({ trustedProxies }: Config): string[] | ((address: string, hop: number) => boolean) {
    return typeof trustedProxies === 'number' ? (_address, hop) => hop < trustedProxies : [...trustedProxies];
}

const notUsed = (): never => {
    throw new Error('routes of this server declare no Fastify schemas');
};

/** A connection id of 255 characters, percent-encoded (http-api §1.13). */
const longestParam = 1000;

export async function buildServer(services: Services): Promise<FastifyInstance> {
    const { config, sources, logger } = services;
    const app: FastifyInstance = fastify({
        loggerInstance: logger as FastifyBaseLogger,
        // Fastify's own lines carry URLs, and URLs carry session tokens.
        logController: new LogController({ disableRequestLogging: true }),
        // Endpoints validate with their own schemas; Fastify's validator and serialiser need not be loaded.
        schemaController: { compilersFactory: { buildValidator: () => notUsed, buildSerializer: () => notUsed } },
        // One logger for all: a child per request is what most requests never write to.
        childLoggerFactory: (parent) => parent,
        bodyLimit: config.bodyLimitBytes,
        trustProxy: trustedBy(config),
        routerOptions: { ignoreTrailingSlash: true, caseSensitive: false, maxParamLength: longestParam, querystringParser: parseQuery },
        rewriteUrl: ({ url = '/' }: IncomingMessage) => (services.connectUi === undefined ? url : connectUiAtRoot(url)),
        // An offer of HTTP/2, as Java's client makes it on plain http, is to be passed over (RFC 9110 §7.8): not a socket that was asked for.
        http: { shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket' },
        forceCloseConnections: 'idle',
        // Fastify's default is forever; half a request would hold up shutdown as long.
        requestTimeout: 60_000,
        // What arrives on open connections while they drain is answered like anything else; /ready says that this is the end.
        return503OnClosing: false,
        // Neither of these runs the hooks below.
        frameworkErrors: (error, request, reply) =>
            void errorHandler(sources)(error, request, reply.headers({ ...securityHeaders, ...readableAnywhere })),
        clientErrorHandler: answerMalformedRequest,
    });
    app.decorateRequest('principal');
    app.decorateRequest('found');
    app.decorateRequest('idempotency');
    app.decorateRequest('rawBody', '');
    app.setErrorHandler(errorHandler(sources));
    app.setNotFoundHandler(notFound);
    acceptBodies(app);
    sendBeforeClosing(app, sources);
    app.addHook('onRequest', (_request, reply, done) => {
        reply.headers(securityHeaders);
        done();
    });
    app.addHook('onSend', (_request, reply, payload, done) => {
        // Kept alive, the connection of an answer that was under way would hold shutdown up.
        if (services.isStopping()) {
            reply.header('connection', 'close');
        }
        done(null, payload);
    });
    const { onAnswer } = services;
    if (onAnswer !== undefined) {
        app.addHook('onResponse', (request, reply, done) => {
            onAnswer(request.method, request.routeOptions.url, reply.statusCode, reply.elapsedTime);
            done();
        });
    }
    if (logger.isLevelEnabled('debug')) {
        app.addHook('onResponse', (request, reply, done) => {
            request.log.debug(
                { method: request.method, route: request.routeOptions.url, status: reply.statusCode, ms: reply.elapsedTime },
                'request',
            );
            done();
        });
    }
    await app.register(cors, {
        origin: '*',
        methods: ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE'],
        allowedHeaders: corsRequestHeaders,
        exposedHeaders: corsResponseHeaders,
        maxAge: 600,
        strictPreflight: false,
    });
    // Only redirect flows have cookies; nobody else pays for looking.
    await app.register(cookie, { hook: false });
    const limits = new RateLimits(config.rateLimitPerMinute, sources);
    // A worker answers probes only.
    const isApi = config.roles.has('api');
    for (const definition of isApi ? endpointsOf(services) : probesOf(services)) {
        registerEndpoint(app, definition, services, limits);
    }
    if (isApi) {
        acceptSockets(app, config, services.sockets);
    }
    return app;
}

const corsRequestHeaders = [
    'Authorization',
    'Content-Type',
    'Accept',
    'Origin',
    'X-Requested-With',
    'Nango-Activity-Log-Id',
    'Nango-Is-Dry-Run',
    'Nango-Is-Sync',
    'Provider-Config-Key',
    'Connection-Id',
    'Sentry-Trace',
    'Baggage',
    'Idempotency-Key',
];

const corsResponseHeaders = [
    'Authorization',
    'Etag',
    'Content-Type',
    'Content-Length',
    'X-Nango-Signature',
    'X-RateLimit-Limit',
    'X-RateLimit-Remaining',
    'X-RateLimit-Reset',
    'Retry-After',
    'Idempotent-Replayed',
    'Link',
];

/** What the CORS plugin sets, for answers that are given before it runs. */
const readableAnywhere = { 'access-control-allow-origin': '*', 'access-control-expose-headers': corsResponseHeaders.join(', ') };

/**
 * Clients up to 0.68.1 can embed the Connect UI at the root of an origin only (frontend contract §1.1), and always say `apiURL`. Seen from
 * the root its assets are where they are seen from `/connect-ui`.
 */
const connectUiAtRoot = (url: string): string => (/^\/\?(?:.*&)?apiURL=/.test(url) ? `/connect-ui${url.slice(1)}` : url);

/** Brackets nest (http-api §1.8). Without prototypes, so that a filter named `constructor` is a filter like any other. */
function parseQuery(text: string): Record<string, unknown> {
    // most queries have no brackets, and this way is several times shorter
    if (!text.includes('[') && !/%5b/i.test(text)) {
        const parsed = parseFlatQuery(text, '&', '=', { maxKeys: 200 });
        if ('__proto__' in parsed) {
            delete parsed['__proto__'];
        }
        return parsed;
    }
    return parseNestedQuery(text, { depth: 2, parameterLimit: 200, arrayLimit: 100, allowDots: false, plainObjects: true }) as Record<
        string,
        unknown
    >;
}

/** What Node cannot parse never becomes a request; browsers must be able to read this answer too (frontend contract §1.6). */
function answerMalformedRequest(error: Error & { code?: string }, socket: Socket): void {
    if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
        socket.destroy();
        return;
    }
    const [status, code, message] =
        error.code === 'HPE_HEADER_OVERFLOW'
            ? ['431 Request Header Fields Too Large', 'request_too_large', 'The URL and headers of the request are too long.']
            : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
              ? ['408 Request Timeout', 'request_timeout', 'The request took too long to arrive.']
              : ['400 Bad Request', 'invalid_request', 'This is not a valid HTTP request.'];
    const body = JSON.stringify({ error: { code, message } });
    const headers = {
        ...securityHeaders,
        ...readableAnywhere,
        'content-type': 'application/json; charset=utf-8',
        'content-length': Buffer.byteLength(body),
        connection: 'close',
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${body}`);
}

/** JSON without a body is no body (http-api §1.13); what is not JSON is read too, so that the content-type gate can answer. */
function acceptBodies(app: FastifyInstance): void {
    app.removeAllContentTypeParsers();
    const parseJson = app.getDefaultJsonParser('error', 'error');
    app.addContentTypeParser(/^application\/json/i, { parseAs: 'string' }, (request, body, done) => {
        if (body === '') {
            done(null, request.headers['content-length'] === '0' ? {} : undefined);
            return;
        }
        if (request.routeOptions.config.keepsRawBody) {
            request.rawBody = body as string;
        }
        void parseJson(request, body as string, (error, value) => {
            const isContainer = typeof value === 'object' && value !== null;
            done(error ?? (isContainer ? null : Object.assign(new Error('not an object'), { code: 'FST_ERR_CTP_INVALID_JSON_BODY' })), value);
        });
    });
    app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
        done(null, parseQuery(body as string)),
    );
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}
