/** One case's own deployment: database, way to it, authorization server, webhook receiver, port, and the processes that run on it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { buildApp, type FaultStep } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { systemSources } from '../../../src/sources.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../../peers/authorization-server.ts';
import { startDatabaseProxy, type DatabaseProxy } from '../../peers/database-proxy.ts';
import { createDatabase } from '../../peers/postgres.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../../peers/webhook-receiver.ts';
import { oauth2Entry, providersFile } from '../provider-entries.ts';
import { connectThrough } from '../user.ts';
import {
    eventually,
    newEncryptionKey,
    newTestApiKey,
    spawnValetkey,
    reachable,
    startValetkey,
    watch,
    type Reachable,
    type Valetkey,
} from '../valetkey.ts';
import { casePort } from './case-port.ts';
import { startStepGate, type StepGate } from './step-gate.ts';

/** Generous: it ends a case that hangs, and does not judge a machine that is busy. */
export const patienceMs = 60_000;

const withFaults = 'test/e2e/faults/valetkey-with-faults.ts';

export class Deployment {
    readonly server: AuthorizationServer;
    readonly receiver: WebhookReceiver;
    readonly proxy: DatabaseProxy;
    /** Past the proxy: it sees the database while nobody else does. */
    readonly sql: pg.Client;
    readonly databaseUrl: string;
    readonly gate: StepGate;
    readonly heldStep: FaultStep;
    encryptionKey = newEncryptionKey();
    readonly #drop: () => Promise<void>;
    readonly #port: number;
    readonly #apiKey = newTestApiKey();
    readonly #started: Promise<unknown>[] = [];
    readonly #stops: (() => Promise<unknown>)[] = [];
    readonly #outputs: (() => string)[] = [];

    private constructor(
        parts: Pick<Deployment, 'server' | 'receiver' | 'proxy' | 'sql' | 'databaseUrl' | 'gate' | 'heldStep'> & {
            drop: () => Promise<void>;
            port: number;
        },
    ) {
        this.server = parts.server;
        this.receiver = parts.receiver;
        this.proxy = parts.proxy;
        this.sql = parts.sql;
        this.databaseUrl = parts.databaseUrl;
        this.gate = parts.gate;
        this.heldStep = parts.heldStep;
        this.#drop = parts.drop;
        this.#port = parts.port;
    }

    /** @param heldStep at which processes are held that are started so; @param occurrence which time they come there */
    static async open(heldStep: FaultStep, occurrence = 1): Promise<Deployment> {
        const port = await casePort();
        const database = await createDatabase();
        const sql = new pg.Client({ connectionString: database.url });
        await sql.connect();
        return new Deployment({
            server: await startAuthorizationServer({ redirectUris: [`http://127.0.0.1:${port}/oauth/callback`] }),
            receiver: await startWebhookReceiver(),
            proxy: await startDatabaseProxy(database.url),
            sql,
            databaseUrl: database.url,
            gate: await startStepGate(occurrence),
            heldStep,
            drop: () => database.drop(),
            port,
        });
    }

    async close(): Promise<void> {
        this.proxy.restore();
        this.gate.answer('die');
        await Promise.allSettled(this.#started);
        await Promise.all(this.#stops.map((stop) => stop()));
        await this.sql.end();
        await Promise.all([this.server.close(), this.receiver.close(), this.proxy.close(), this.gate.close()]);
        await this.#drop();
    }

    /** Rejects when it ends before it serves. */
    start({ isHeld = false, isReplica = false }: { isHeld?: boolean; isReplica?: boolean } = {}): Promise<Valetkey> {
        const started = (async () => {
            const valetkey = await startValetkey({
                port: isReplica ? await casePort() : this.#port,
                databaseUrl: this.proxy.url,
                encryptionKey: this.encryptionKey,
                apiKey: this.#apiKey,
                providers: this.#providers(),
                ...(isHeld ? { entry: withFaults, env: this.#hold() } : {}),
            });
            this.#stops.push(() => valetkey.stop('SIGKILL'));
            this.#outputs.push(valetkey.output);
            return valetkey;
        })();
        this.#started.push(started);
        return started;
    }

    /** A server in this process, for a case in which it is another one that a fault strikes: it costs a tenth of a start. */
    async serveHere(): Promise<Reachable & { stop(): Promise<void> }> {
        const url = `http://127.0.0.1:${this.#port}`;
        const directory = await mkdtemp(join(tmpdir(), 'valetkey-faults-'));
        await writeFile(join(directory, 'providers.yaml'), this.#providers());
        const config = loadConfig({
            PORT: String(this.#port),
            HOST: '127.0.0.1',
            VALETKEY_PUBLIC_URL: url,
            DATABASE_URL: this.proxy.url,
            VALETKEY_ENCRYPTION_KEY: this.encryptionKey,
            VALETKEY_SECRET_KEY_DEV: this.#apiKey,
            VALETKEY_EGRESS_ALLOW: '127.0.0.0/8',
            VALETKEY_PROVIDERS: join(directory, 'providers.yaml'),
        });
        const app = await buildApp({ config, logger: pino({ level: 'silent' }), sources: systemSources });
        await app.server.listen({ host: config.host, port: config.port });
        app.startWork();
        let closing: Promise<void> | undefined;
        const stop = (): Promise<void> => (closing ??= app.close().then(() => rm(directory, { recursive: true })));
        this.#stops.push(stop);
        return { ...reachable(url, this.#apiKey), stop };
    }

    /** `valetkey keys rotate`. */
    rotate({ isHeld = false }: { isHeld?: boolean } = {}): ReturnType<typeof watch> {
        const child = spawnValetkey(
            isHeld ? withFaults : 'src/main.ts',
            { DATABASE_URL: this.proxy.url, VALETKEY_ENCRYPTION_KEY: this.encryptionKey, ...(isHeld ? this.#hold() : {}) },
            ['keys', 'rotate'],
        );
        this.#stops.push(async () => child.kill('SIGKILL'));
        const watched = watch(child);
        this.#outputs.push(watched.output);
        return watched;
    }

    /** An integration, and where events go. */
    async prepare(valetkey: Reachable): Promise<void> {
        const { clientId, clientSecret } = this.server;
        await valetkey.client.createIntegration({
            provider: 'oidc-test',
            unique_key: 'oidc',
            credentials: { type: 'OAUTH2', client_id: clientId, client_secret: clientSecret, scopes: 'openid,offline_access' },
        });
        await valetkey.call('PATCH', '/environment/webhooks', { primary_url: this.receiver.url });
    }

    /** @returns the token of a new connect session. */
    async session(valetkey: Reachable): Promise<string> {
        const { data } = await valetkey.client.createConnectSession({ end_user: { id: 'user-1' } });
        return data.token;
    }

    async connect(valetkey: Reachable, sessionToken?: string): Promise<void> {
        const answer = await connectThrough(this.server, valetkey.url, 'oidc', sessionToken ?? (await this.session(valetkey)));
        if (answer.status !== 200) {
            throw new Error(`the callback answered ${answer.status}: ${answer.html}`);
        }
    }

    async rows<Row = Record<string, unknown>>(text: string, values: unknown[] = []): Promise<Row[]> {
        return (await this.sql.query(text, values)).rows as Row[];
    }

    /** What its processes said last, for the one who reads that something was lost. */
    lastWords(): string {
        return this.#outputs.map((output) => output().slice(-4_000)).join('\n…\n');
    }

    /** As if the leases of processes that have ended had run out. */
    async endDeliveryLeases(): Promise<void> {
        await this.rows(`update webhook_deliveries set lease_until = now() - interval '1 second' where lease_until is not null`);
    }

    /** Until it holds. @param what for the one who reads that it never did */
    until(what: string, attempt: () => Promise<boolean> | boolean): Promise<void> {
        return eventually(async () => {
            if (!(await attempt())) {
                throw new Error(`never happened: ${what}`);
            }
        }, patienceMs);
    }

    #providers(): string {
        return providersFile(oauth2Entry('oidc-test', this.server));
    }

    #hold(): Record<string, string> {
        return { TEST_HOLD_AT: this.heldStep, TEST_HOLD_URL: this.gate.url };
    }
}
