/**
 * Idempotency-Key on requests that create something: the first success is kept, sealed, for a day and replayed, status and
 * body, when its caller repeats the request (draft-ietf-httpapi-idempotency-key-header). To nobody else: the answer may be a
 * new API key, and another key of the environment may hold less (S4). An answer that created nothing is not kept, so that the
 * same request can be made again once what was in its way is gone.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SealedPlace } from '../credentials/vault.ts';
import { newRowId } from '../sources.ts';
import * as requests from '../store/idempotent-requests.ts';
import { ApiError } from './errors.ts';
import type { Services } from './services.ts';

export const keptMs = 24 * 3600 * 1000;
/** Longer than any handler may take; a process that dies holds its keys as long. */
const lockMs = 120_000;
const keyPattern = /^[\x21-\x7e]{1,255}$/;

const sealedBody = (row: { id: string; environment_id: string }): SealedPlace => ({
    environmentId: row.environment_id,
    table: 'idempotent_requests',
    column: 'sealed_body',
    rowId: row.id,
});

/**
 * Before the handler. @returns whether the answer given earlier was sent; otherwise go on (`keep` will see the outcome).
 * @throws ApiError 400 a key that is none, 409 the first request is still under way, 422 another request had this key
 */
export async function isReplayed(services: Services, request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const key = request.headers['idempotency-key'];
    if (key === undefined) {
        return false;
    }
    if (typeof key !== 'string' || !keyPattern.test(key)) {
        throw ApiError.simple(400, 'invalid_idempotency_key', 'An Idempotency-Key has 1 to 255 visible ASCII characters.');
    }
    const { vault, sources, database } = services;
    const { session, environment, keyId } = request.principal;
    const now = sources.now();
    const hashes = vault.hashes(JSON.stringify([request.method, request.url, request.body ?? null]));
    const of = { environment_id: environment?.id ?? 'account', caller: session?.id ?? keyId ?? '', key };
    const claim = { ...of, id: newRowId(sources), request_hash: hashes[0]!, locked_until: new Date(now + lockMs), created_at: new Date(now) };
    if (await requests.claim(database.db, { ...claim, keptSince: new Date(now - keptMs) })) {
        request.idempotency = { id: claim.id, environment_id: claim.environment_id };
        return false;
    }
    const earlier = await requests.find(database.db, of);
    if (earlier !== undefined && !hashes.includes(earlier.request_hash)) {
        throw ApiError.simple(422, 'idempotency_key_reused', 'This Idempotency-Key was used for another request.');
    }
    if (earlier?.status == null || earlier.sealed_body === null) {
        throw ApiError.simple(409, 'idempotency_key_in_progress', 'The first request with this Idempotency-Key is still under way.', {
            'retry-after': '1',
        });
    }
    const body = await vault.openFresh(earlier.sealed_body, sealedBody(earlier));
    // A reply is thenable: returned from here it would be awaited and gone.
    void reply.code(earlier.status).headers({ 'idempotent-replayed': 'true', 'content-type': 'application/json; charset=utf-8' }).send(body);
    return true;
}

/** After the handler, before the answer leaves. Failing to keep it must not take the answer from the caller. */
export async function keep(services: Services, request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> {
    const held = request.idempotency;
    if (held === undefined) {
        return;
    }
    const { database, vault, logger } = services;
    const isSuccess = reply.statusCode >= 200 && reply.statusCode < 300;
    try {
        if (isSuccess && typeof payload === 'string') {
            await requests.settle(database.db, held.id, { status: reply.statusCode, sealedBody: vault.seal(payload, sealedBody(held)) });
        } else {
            await requests.release(database.db, held.id);
        }
    } catch (error) {
        logger.error({ err: error }, 'the outcome of a request with an Idempotency-Key was not recorded');
    }
}

declare module 'fastify' {
    interface FastifyRequest {
        /** The row of the Idempotency-Key that this request holds. */
        idempotency: { id: string; environment_id: string } | undefined;
    }
}
