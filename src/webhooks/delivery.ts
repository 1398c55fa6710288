/** Sends what the outbox holds: at least once, each destination by itself, until it is accepted or the schedule is exhausted. */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { EgressError, type Egress, type EgressResponse } from '../egress/egress.ts';
import { parseRetryAfter } from '../egress/retry-after.ts';
import type { Sources } from '../sources.ts';
import { LeasedWorker, claimDue, deliveryQueue } from '../store/leased-work.ts';
import type { Schema } from '../store/schema.ts';
import * as outbox from '../store/webhook-outbox.ts';
import type { DueDelivery } from '../store/webhook-outbox.ts';
import { nextWait } from './retry-schedule.ts';
import { signatureHeaders, type LiveSigningKeys } from './signature.ts';

const concurrency = 20;
/** A slow receiver leaves slots to the others. */
const perUrl = 5;
const pollMs = 1_000;
const attemptMs = 20_000;
const leaseMs = 45_000;
/** W13: more of an answer is not read. */
const responseBytes = 64 * 1024;

export interface DeliveryDependencies {
    db: Kysely<Schema>;
    egress: Egress;
    sources: Sources;
    logger: Logger;
    owner: string;
    /** Of `delivery.signing_keys`, in their order. */
    openSigningKeys(delivery: DueDelivery): Promise<LiveSigningKeys>;
    /** Told of every attempt, to count it. */
    onAttempt?: ((ms: number, outcome: 'delivered' | 'retried' | 'given_up') => void) | undefined;
    /** For fault injection: called when a delivery is about to be sent. */
    onSend?: (() => void | Promise<void>) | undefined;
}

export class WebhookDelivery {
    readonly #dependencies: DeliveryDependencies;
    readonly #worker: LeasedWorker;

    constructor(dependencies: DeliveryDependencies) {
        const { db, sources, owner, logger } = dependencies;
        this.#dependencies = dependencies;
        this.#worker = new LeasedWorker({
            sources,
            concurrency,
            pollMs,
            claim: (limit, busyGroups) => claimDue(db, deliveryQueue, { owner, now: sources.now(), leaseMs, limit, groupLimit: perUrl, busyGroups }),
            work: (item) => this.#deliver(item.id, item.epoch),
            onError: (error) => logger.error({ err: error }, 'webhook delivery could not be carried out'),
        });
    }

    get busy(): number {
        return this.#worker.busy;
    }

    start(): void {
        this.#worker.start();
    }

    /** There may be something to send. */
    wake(): void {
        this.#worker.wake();
    }

    stop(): Promise<void> {
        return this.#worker.stop();
    }

    async #deliver(id: string, epoch: number): Promise<void> {
        const { db, sources, logger, onAttempt } = this.#dependencies;
        const delivery = await outbox.loadDelivery(db, id, new Date(sources.now()));
        if (delivery === undefined || delivery.lease_epoch !== epoch) {
            return;
        }
        const begin = sources.now();
        const answer = await this.#send(delivery);
        const at = new Date(sources.now());
        const status = answer instanceof EgressError ? null : answer.status;
        if (!(answer instanceof EgressError) && answer.status >= 200 && answer.status < 300) {
            await outbox.recordAttempt(db, delivery, { state: 'delivered', status, error: null, nextAttemptAt: null, at });
            onAttempt?.(at.getTime() - begin, 'delivered');
            return;
        }
        const error = answer instanceof EgressError ? answer.code : `http_${answer.status}`;
        const isGone = status === 410;
        const retryAfter = answer instanceof EgressError ? undefined : parseRetryAfter(answer.headers['retry-after'], at.getTime());
        const wait = isGone ? null : nextWait(delivery.attempts + 1, status, retryAfter, sources);
        logger.warn(
            { event: delivery.event_id, destination: delivery.destination, attempt: delivery.attempts + 1, error, retryInMs: wait },
            'webhook not accepted',
        );
        await outbox.recordAttempt(db, delivery, {
            state: wait === null ? 'dead' : 'pending',
            status,
            error,
            nextAttemptAt: wait === null ? null : new Date(at.getTime() + wait),
            at,
        });
        onAttempt?.(at.getTime() - begin, wait === null ? 'given_up' : 'retried');
        if (isGone && delivery.destination !== 'override') {
            await outbox.disableDestination(db, { ...delivery, destination: delivery.destination }, 'the receiver answered 410 Gone', at);
        }
    }

    async #send(delivery: DueDelivery): Promise<EgressResponse | EgressError> {
        const { egress, sources, logger, openSigningKeys, onSend } = this.#dependencies;
        let keys: LiveSigningKeys;
        try {
            keys = await openSigningKeys(delivery);
            if (keys.length === 0) {
                throw new Error('the environment has no webhook signing key');
            }
        } catch (error) {
            logger.error({ err: error, environment: delivery.environment_id }, 'the webhook signing key cannot be opened');
            return new EgressError('aborted', new URL(delivery.url).hostname, { neverSent: true, reason: 'signing_key_unreadable' });
        }
        await onSend?.();
        try {
            return await egress.request({
                url: delivery.url,
                method: 'POST',
                headers: {
                    'content-type': 'application/json',
                    'x-valetkey-event-id': delivery.event_id,
                    'x-valetkey-created-at': delivery.event_created_at.toISOString(),
                    ...signatureHeaders(keys, delivery.event_id, Math.floor(sources.now() / 1000), delivery.body),
                },
                body: delivery.body,
                deadlineMs: attemptMs,
                maxResponseBytes: responseBytes,
                oversize: 'truncate',
                maxRedirects: 3,
            });
        } catch (error) {
            if (error instanceof EgressError) {
                return error;
            }
            throw error;
        }
    }
}
