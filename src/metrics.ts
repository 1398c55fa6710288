/**
 * What Valetkey measures of itself, for Prometheus (O4). Labels are few and bounded: no connection, environment or URL is one.
 * What replicas share is read from indexes when somebody asks; everything else is of this process. Loaded where metrics are wanted.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { RenewalResult } from './credentials/leased-renewal.ts';
import type { Sources } from './sources.ts';
import type { Database } from './store/database.ts';
import { mostCounted, readWorkLag, type WorkLag } from './store/work-lag.ts';

export interface MetricsOptions {
    database: Database;
    sources: Sources;
    /** `provider` becomes a label of the renewal metrics: some hundreds of series. */
    labelsProvider: boolean;
}

/** Items at work in this process, by worker. */
export type BusySlots = () => Readonly<Record<string, number>>;

const callSeconds = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
const requestSeconds = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 25];

export class Metrics {
    readonly #registry = new Registry();
    readonly #labelsProvider: boolean;
    readonly #renewals: Counter;
    readonly #tokenCalls: Histogram;
    readonly #deliveries: Counter;
    readonly #deliveryCalls: Histogram;
    readonly #requests: Histogram;
    readonly #routes = new Map<string, (seconds: number) => void>();

    constructor({ database, sources, labelsProvider }: MetricsOptions) {
        const registers = [this.#registry];
        const ofProvider = labelsProvider ? ['provider'] : [];
        this.#labelsProvider = labelsProvider;
        this.#renewals = new Counter({
            name: 'valetkey_renewals_total',
            help: 'Renewals that ended in this process, by result.',
            labelNames: ['result', ...ofProvider],
            registers,
        });
        this.#tokenCalls = new Histogram({
            name: 'valetkey_token_call_seconds',
            help: 'Calls to providers that present a grant for renewal.',
            labelNames: ['outcome', ...ofProvider],
            buckets: callSeconds,
            registers,
        });
        this.#deliveries = new Counter({
            name: 'valetkey_deliveries_total',
            help: 'Attempts to deliver a webhook, by outcome.',
            labelNames: ['outcome'],
            registers,
        });
        this.#deliveryCalls = new Histogram({
            name: 'valetkey_delivery_seconds',
            help: 'Calls to receivers of webhooks.',
            buckets: callSeconds,
            registers,
        });
        this.#requests = new Histogram({
            name: 'valetkey_http_request_seconds',
            help: 'Requests that were answered, by route and class of status.',
            labelNames: ['method', 'route', 'status'],
            buckets: requestSeconds,
            registers,
        });
        this.#gaugesOfLag(database, sources);
        this.#gaugesOfPool(database);
        collectDefaultMetrics({ register: this.#registry });
    }

    get contentType(): string {
        return this.#registry.contentType;
    }

    text(): Promise<string> {
        return this.#registry.metrics();
    }

    renewed(provider: string, result: RenewalResult): void {
        this.#renewals.inc({ result: resultOf(result), ...this.#provider(provider) });
    }

    tokenCalled(provider: string, ms: number, outcome: 'answered' | 'failed'): void {
        this.#tokenCalls.observe({ outcome, ...this.#provider(provider) }, ms / 1000);
    }

    delivered(ms: number, outcome: 'delivered' | 'retried' | 'given_up'): void {
        this.#deliveries.inc({ outcome });
        this.#deliveryCalls.observe(ms / 1000);
    }

    answered(method: string, route: string | undefined, status: number, ms: number): void {
        const key = `${method} ${route} ${Math.floor(status / 100)}`;
        let observe = this.#routes.get(key);
        if (observe === undefined) {
            // Methods and routes that are not declared are one, or callers would choose how many series there are.
            const labels = route === undefined ? { method: 'other', route: 'other' } : { method, route };
            const child = this.#requests.labels({ ...labels, status: `${Math.floor(status / 100)}xx` });
            observe = (seconds) => child.observe(seconds);
            this.#routes.set(key, observe);
        }
        observe(ms / 1000);
    }

    watchSlots(slots: BusySlots): void {
        const gauge = new Gauge({
            name: 'valetkey_worker_busy_slots',
            help: 'Items at work in this process.',
            labelNames: ['worker'],
            registers: [this.#registry],
            collect: () => Object.entries(slots()).forEach(([worker, busy]) => gauge.set({ worker }, busy)),
        });
    }

    #provider(provider: string): { provider?: string } {
        return this.#labelsProvider ? { provider } : {};
    }

    /** One query for all of them: those that are collected in the same turn share it. While the database is away they are not a number. */
    #gaugesOfLag({ db }: Database, sources: Sources): void {
        let reading: Promise<WorkLag | undefined> | undefined;
        const read = (): Promise<WorkLag | undefined> =>
            (reading ??= readWorkLag(db, sources.now())
                .catch(() => undefined)
                .finally(() => (reading = undefined)));
        const gauge = (name: string, help: string, of: (lag: WorkLag) => number): void => {
            const made: Gauge = new Gauge({
                name,
                help: `${help}, of all replicas.`,
                registers: [this.#registry],
                collect: async () => {
                    const lag = await read();
                    made.set(lag === undefined ? NaN : of(lag));
                },
            });
        };
        for (const [queue, things] of [
            ['renewals', 'renewals'],
            ['deliveries', 'attempts to deliver a webhook'],
            ['hooks', 'post-connection hooks'],
        ] as const) {
            gauge(
                `valetkey_${queue}_oldest_overdue_seconds`,
                `How long the longest overdue of the ${things} has been due`,
                (lag) => lag[queue].oldestOverdueMs / 1000,
            );
            gauge(`valetkey_${queue}_overdue`, `How many ${things} are due, at most ${mostCounted}`, (lag) => lag[queue].overdue);
        }
    }

    #gaugesOfPool({ pool }: Database): void {
        if (pool === undefined) {
            return;
        }
        const gauge = new Gauge({
            name: 'valetkey_database_pool_connections',
            help: 'Pooled database connections of this process, and queries that wait for one.',
            labelNames: ['state'],
            registers: [this.#registry],
            collect: () => Object.entries(pool()).forEach(([state, count]) => gauge.set({ state }, count)),
        });
    }
}

/** `unreadable` is a fault of ours, or of the key ring, and worth an alert (§20.2 no. 7). */
function resultOf(result: RenewalResult): string {
    if (result.kind !== 'failed') {
        return result.kind;
    }
    return result.failure.type === 'credentials_unreadable' ? 'unreadable' : `failed_${result.failure.kind}`;
}
