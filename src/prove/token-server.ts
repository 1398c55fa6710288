/** A token server as strict as they come: each refresh token can be redeemed once, and one that is presented again ends its grant. */
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { Sources } from '../sources.ts';
import { newGeneration, redeem, type Grant } from './ledger.ts';
import { fairWeather, type Weather } from './weather.ts';

/** Short, so that connections fall due all the time. */
const accessTokenSeconds = 120;

export interface TokenServer {
    /** The token endpoint for one process, so that the ledger knows who called. */
    tokenUrl(worker: number): string;
    authorizationUrl: string;
    /** A new grant, as if a user had just connected. */
    issue(): { id: string; tokens: Tokens };
    grants: readonly Grant[];
    /** Whether this access token had expired before that moment; `undefined`: it was never issued. */
    hadExpired(accessToken: string, before: number): boolean | undefined;
    /** From now on every call is answered at once. */
    clearUp(): void;
    close(): Promise<void>;
}

export interface Tokens {
    token_type: 'Bearer';
    access_token: string;
    refresh_token: string;
    expires_in: number;
}

export async function startTokenServer(sources: Sources, drawWeather: () => Weather): Promise<TokenServer> {
    const grants = new Map<string, Grant>();
    const expiries = new Map<string, number>();
    let draw = drawWeather;

    const tokensOf = (grant: Grant): Tokens => {
        const generation = grant.generations.length - 1;
        const access = `at.${grant.id}.${generation}`;
        expiries.set(access, sources.now() + accessTokenSeconds * 1000);
        return { token_type: 'Bearer', access_token: access, refresh_token: `rt.${grant.id}.${generation}`, expires_in: accessTokenSeconds };
    };

    async function answer(request: FastifyRequest, reply: FastifyReply): Promise<void> {
        const worker = Number((request.params as { worker: string }).worker);
        const [, id = '', generation = ''] = (new URLSearchParams(request.body as string).get('refresh_token') ?? '').split('.');
        const grant = grants.get(id);
        const presented = grant?.generations[Number(generation)];
        if (grant === undefined || presented === undefined) {
            return refuse(reply, 400, 'invalid_grant');
        }
        presented.presented += 1;
        const presentedAt = sources.now();
        const { refusal, untilRedeemedMs, untilAnsweredMs, isAnswerLost } = draw();
        let hasHungUp = false;
        let isRedeemed = false;
        reply.raw.once('close', () => {
            hasHungUp = !reply.raw.writableFinished;
            if (hasHungUp && isRedeemed) {
                presented.hungUpAt = sources.now();
            }
        });
        await sources.sleep(untilRedeemedMs);
        if (hasHungUp) {
            return;
        }
        if (refusal !== undefined) {
            return refuse(reply, refusal, 'temporarily_unavailable');
        }
        if (!redeem(grant, Number(generation), worker, presentedAt)) {
            return refuse(reply, 400, 'invalid_grant');
        }
        isRedeemed = true;
        await sources.sleep(untilAnsweredMs);
        const isCut = isAnswerLost || hasHungUp;
        Object.assign(presented, { answer: isCut ? 'cut' : 'sent', answeredAt: sources.now() });
        if (isCut) {
            request.raw.socket.destroy();
            return;
        }
        reply.raw.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokensOf(grant)));
    }

    const server = fastify({ logger: false, forceCloseConnections: true });
    server.removeAllContentTypeParsers();
    server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
    server.post('/processes/:worker/token', async (request, reply) => {
        // Some callers are cut off without an answer.
        reply.hijack();
        await answer(request, reply);
    });
    await server.listen({ host: '127.0.0.1', port: 0 });
    const url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
    return {
        tokenUrl: (worker) => `${url}/processes/${worker}/token`,
        authorizationUrl: `${url}/authorize`,
        issue: () => {
            const grant = { id: String(grants.size + 1), isAlive: true, generations: [newGeneration()] };
            grants.set(grant.id, grant);
            return { id: grant.id, tokens: tokensOf(grant) };
        },
        get grants() {
            return [...grants.values()];
        },
        hadExpired: (accessToken, before) => {
            const expiry = expiries.get(accessToken);
            return expiry === undefined ? undefined : expiry < before;
        },
        clearUp: () => {
            draw = () => fairWeather;
        },
        close: () => server.close(),
    };
}

function refuse(reply: FastifyReply, status: number, error: string): void {
    const headers = { 'content-type': 'application/json', ...(status === 429 ? { 'retry-after': '5' } : {}) };
    reply.raw.writeHead(status, headers).end(JSON.stringify({ error }));
}
