/** Sends what the outbox holds: at least once, each destination by itself, until it is accepted or the schedule is exhausted. */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { Egress } from '../egress/egress.ts';
import { parseRetryAfter } from '../egress/retry-after.ts';
import type { Sources } from '../sources.ts';
import { holdOne } from '../store/endpoint-health.ts';
import { LeasedWorker, claimDue, deliveryQueue } from '../store/leased-work.ts';
import type { Schema } from '../store/schema.ts';
import * as outbox from '../store/webhook-outbox.ts';
import type { DueDelivery } from '../store/webhook-outbox.ts';
import { attempt, loggedAttempt, withoutAnswer, type Attempt } from './attempt.ts';
import { nextWait } from './retry-schedule.ts';
import type { LiveSigningKeys } from './signature.ts';

const concurrency = 20;
/** A slow receiver leaves slots to the others. */
const perUrl = 5;
/** So do all silent ones together. */
const forSilent = concurrency / 2;
/** How an attempt ends that held its slot for as long as there is. */
const silence = new Set<string | null>(['deadline_exceeded', 'connect_timeout']);
/** Of more receivers it is not remembered: every claim is told of them. */
const mostSilent = 200;
const pollMs = 1_000;
/** More than twice what an attempt may take. */
const leaseMs = 45_000;

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
    /** Likewise: when it was answered, and nothing of that is recorded yet. */
    onSent?: (() => void | Promise<void>) | undefined;
}

export class WebhookDelivery {
    readonly #dependencies: DeliveryDependencies;
    readonly #worker: LeasedWorker;
    /** URLs whose last attempt, by this process, got no answer in its time; the latest last. */
    readonly #silent = new Set<string>();

    constructor(dependencies: DeliveryDependencies) {
        const { db, sources, owner, logger } = dependencies;
        this.#dependencies = dependencies;
        this.#worker = new LeasedWorker({
            sources,
            concurrency,
            pollMs,
            claim: (limit, busy) =>
                claimDue(db, deliveryQueue, { owner, now: sources.now(), leaseMs, limit, groupLimit: perUrl, busyGroups: this.#restrained(busy) }),
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
        // W9. Written for it before, or while, it was disabled or deleted.
        if (delivery.disabled_at !== null) {
            return holdOne(db, delivery);
        }
        if (delivery.endpoint_id !== null && delivery.follow_redirects === null) {
            return outbox.giveUp(db, delivery, 'endpoint_deleted', new Date(sources.now()));
        }
        const made = await this.#send(delivery);
        this.#noteSilence(delivery.url, made);
        const at = new Date(sources.now());
        const isGone = made.status === 410;
        // What is too large stays so.
        const isFinal = made.error === null || isGone || made.error === 'body_too_large';
        const wait = isFinal ? null : this.#wait(delivery, made, at);
        const state = made.error === null ? 'delivered' : wait === null ? 'dead' : 'pending';
        if (made.error !== null) {
            logger.warn(
                { event: delivery.event_id, destination: delivery.destination, attempt: delivery.attempts + 1, error: made.error, retryInMs: wait },
                'webhook not accepted',
            );
        }
        const disabled = await outbox.recordAttempt(db, delivery, {
            state,
            nextAttemptAt: wait === null ? null : new Date(at.getTime() + wait),
            at,
            attempt: loggedAttempt(made),
        });
        onAttempt?.(made.durationMs, state === 'pending' ? 'retried' : state === 'dead' ? 'given_up' : 'delivered');
        if (disabled !== undefined) {
            const { endpoint_id: endpoint, environment_id: environment, destination } = delivery;
            logger.error({ endpoint, environment, destination, reason: disabled }, 'webhook endpoint disabled: events for it are held');
        }
    }

    /**
     * W2: receivers that do not answer get one slot each, and half of all together, or they would keep all slots from everybody else. Where
     * there are more of them, they have their turns from claim to claim.
     */
    #restrained(busy: Readonly<Record<string, number>>): Record<string, number> {
        const restrained = { ...busy };
        const silent = [...this.#silent];
        let room = forSilent - silent.reduce((sum, url) => sum + (busy[url] ?? 0), 0);
        for (const url of silent) {
            const hasTurn = room > 0 && !busy[url];
            restrained[url] = hasTurn ? perUrl - 1 : perUrl;
            if (hasTurn) {
                room -= 1;
                this.#silent.delete(url);
                this.#silent.add(url);
            }
        }
        return restrained;
    }

    #noteSilence(url: string, { error }: Attempt): void {
        this.#silent.delete(url);
        if (silence.has(error)) {
            this.#silent.add(url);
            if (this.#silent.size > mostSilent) {
                this.#silent.delete(this.#silent.values().next().value!);
            }
        }
    }

    #wait(delivery: DueDelivery, { status, retryAfter }: Attempt, at: Date): number | null {
        return nextWait(delivery.attempts + 1, status, parseRetryAfter(retryAfter, at.getTime()), this.#dependencies.sources);
    }

    async #send(delivery: DueDelivery): Promise<Attempt> {
        const { sources, logger, openSigningKeys, onSend, onSent } = this.#dependencies;
        let keys: LiveSigningKeys;
        try {
            keys = await openSigningKeys(delivery);
            if (keys.length === 0) {
                throw new Error('the environment has no webhook signing key');
            }
        } catch (error) {
            logger.error({ err: error, environment: delivery.environment_id }, 'the webhook signing key cannot be opened');
            return withoutAnswer(sources, 'signing_key_unreadable');
        }
        await onSend?.();
        const made = await attempt(this.#dependencies, delivery.url, keys, {
            id: delivery.event_id,
            createdAt: delivery.event_created_at,
            body: delivery.body,
            sequence: delivery.sequence,
            isRedelivery: delivery.is_redelivery,
            followRedirects: delivery.follow_redirects ?? true,
            postConnectionStatus: delivery.post_connection_status,
        });
        await onSent?.();
        return made;
    }
}
