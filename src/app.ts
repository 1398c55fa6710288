/** Wires configuration, store and services into a server. No logic. */
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { RegisteredClients } from './auth-modes/mcp/registered-clients.ts';
import { LocalTokens } from './auth-modes/local-tokens.ts';
import { renewalStrategies } from './auth-modes/renewal-strategies.ts';
import { StartupError, type Config } from './config.ts';
import type { ConnectContext, ConnectStep } from './connect/connect-session.ts';
import { FlowWaits } from './connect/flow-waits.ts';
import { HookRetries } from './connect/hook-retries.ts';
import { InterruptedFlows } from './connect/interrupted-flows.ts';
import { OutcomeSockets } from './connect/outcome-sockets.ts';
import { Revocations } from './connect/revocations.ts';
import { CredentialTests } from './credentials/credential-tests.ts';
import { FetchedConnections } from './credentials/fetched-connections.ts';
import { findEncryptionKey } from './credentials/key-file.ts';
import { openVault, type RotationStep } from './credentials/key-ring.ts';
import { Refresher } from './credentials/refresher.ts';
import { RenewalFailures } from './credentials/renewal-failures.ts';
import type { RenewalStep } from './credentials/leased-renewal.ts';
import { Renewals } from './credentials/renewal.ts';
import { openLiveKeys } from './credentials/webhook-signing-keys.ts';
import { createEgress, EgressAllowError, type Egress } from './egress/egress.ts';
import { simulatedAddress } from './egress/reroute.ts';
import { prepareEnvironments } from './environments/first-start.ts';
import { readBuild } from './http/connect-ui/build.ts';
import { ConnectUiPage, notBuiltMessage } from './http/connect-ui/page.ts';
import { buildConnectUiServer } from './http/connect-ui/server.ts';
import { buildMetricsServer } from './http/metrics-server.ts';
import { OperationStreams } from './http/operation-streams.ts';
import { buildServer } from './http/server.ts';
import type { Services } from './http/services.ts';
import { CatalogueError, loadCatalogue, type Catalogue } from './providers/catalogue.ts';
import { lintWarnings } from './providers/lint.ts';
import type { Metrics } from './metrics.ts';
import { operationsKeptMs, Retention } from './retention.ts';
import { assertNothingReal } from './simulate.ts';
import { paced, type Pace } from './prove/pace.ts';
import { newRandomId, withClockOffset, type Sources } from './sources.ts';
import * as dataKeys from './store/data-keys.ts';
import { DatabaseClock } from './store/database-clock.ts';
import { openDatabase, type Database } from './store/database.ts';
import { adoptRestored } from './store/event-log.ts';
import { Hints } from './store/hints.ts';
import { migrate } from './store/migrate.ts';
import { keepPartitions } from './store/operation-partitions.ts';
import { userAgent } from './version.ts';
import { WebhookDelivery } from './webhooks/delivery.ts';

export interface App {
    server: FastifyInstance;
    /** Where the configuration wants metrics. */
    metricsServer: FastifyInstance | undefined;
    /** Where the configuration wants the Connect UI on a port of its own. */
    connectUiServer: FastifyInstance | undefined;
    database: Database;
    /** API keys that were made by this start, by environment; the account's under `account`. */
    newApiKeys: ReadonlyMap<string, string>;
    /** Where the encryption key came from, for people. */
    keySource: string;
    /** Begins background work, where this process has that role. */
    startWork(): void;
    /** Takes no more work, lets what is under way finish, and closes everything. */
    close(): Promise<void>;
}

/** Moments at which a test may let something go wrong. */
export type FaultStep = RenewalStep | ConnectStep | 'webhook-sending' | 'webhook-sent' | RotationStep;

export interface AppOptions {
    config: Config;
    logger: Logger;
    sources: Sources;
    /** Simulate mode: the server of the twins, which then gets every call and every browser that is not for this machine. */
    twinServer?: URL | undefined;
    /** Where the Connect UI was built. */
    connectUiDirectory?: string | undefined;
    onStep?: (step: FaultStep) => void | Promise<void>;
    /** Of a proof: time passes faster. */
    pace?: Pace;
}

export const builtinCatalogue = {
    builtin: join(import.meta.dirname, '../providers.yaml'),
    compiled: join(import.meta.dirname, '../dist/catalogue.json'),
};

const builtConnectUi = join(import.meta.dirname, '../dist/ui/connect');

/** @throws StartupError; nothing is written before everything that can be checked without the database was checked. */
export async function buildApp({
    config,
    logger,
    sources: system,
    twinServer,
    connectUiDirectory = builtConnectUi,
    onStep,
    pace,
}: AppOptions): Promise<App> {
    const inPace = (sources: Sources): Sources => (pace === undefined ? sources : paced(sources, pace));
    const egress = openEgress(config, inPace(system), twinServer);
    const catalogue = openCatalogue(config, egress, logger);
    const database = await openDatabase(config.database);
    try {
        if (twinServer !== undefined) await assertNothingReal(database);
        const keys = findEncryptionKey(config, system, await dataKeys.exist(database.db));
        const clock = new DatabaseClock(database, system);
        await clock.read();
        const sources = inPace(withClockOffset(system, clock.offset));
        await migrate(database.db);
        await adoptRestored(database.db);
        await keepPartitions(database.db, sources.now(), operationsKeptMs).catch((error: unknown) =>
            logger.warn({ err: error }, 'the operation log has no partition for today yet'),
        );
        const vault = await openVault(database.db, keys.ring, sources, onStep);
        const newApiKeys = await prepareEnvironments(database.db, { vault, sources }, config);

        const { db } = database;
        const owner = newRandomId(sources);
        const metrics = config.metrics && (await openMetrics(config.metrics, database, sources));
        const delivery = new WebhookDelivery({
            db,
            egress,
            sources,
            logger,
            owner,
            openSigningKeys: (due) => openLiveKeys(vault, due.environment_id, due.signing_keys),
            onAttempt: metrics && ((ms, outcome) => metrics.delivered(ms, outcome)),
            onSend: onStep && (() => onStep('webhook-sending')),
            onSent: onStep && (() => onStep('webhook-sent')),
        });
        const hints = new Hints({ database, sources, logger, owner });
        const wakeDeliveries = (): void => (config.roles.has('worker') ? delivery.wake() : hints.tellOfDeliveries());
        const clients = new RegisteredClients({ db, vault, egress, sources, logger, publicUrl: config.publicUrl });
        const strategies = renewalStrategies({ catalogue, vault, egress, sources, clients });
        const failures = new RenewalFailures({ db, sources, strategies, wakeDeliveries });
        const tests = new CredentialTests({ db, sources, strategies, wakeDeliveries, intervalMs: config.credentialTestMs });
        const renewals = new Renewals({ db, vault, sources, logger, owner, strategies, failures, tests, hints, observer: metrics, onStep });
        const refresher = new Refresher(renewals, { db, sources, logger, owner });
        const sockets = new OutcomeSockets({ db, sources, logger });
        const flowWaits = new FlowWaits({ db, sources, logger });
        const streams = new OperationStreams({ db, sources, logger });
        const fetched = new FetchedConnections({ db, sources, logger });
        const retention = new Retention({ db, sources, logger, renewalLogKeptMs: config.renewalLogKeptMs });
        const revocations = new Revocations({ db, vault, catalogue, egress, sources, clients, logger });
        const hookRetries = new HookRetries({ db, vault, catalogue, egress, sources, clients, logger, owner });
        const connect: ConnectContext = {
            db,
            vault,
            sources,
            egress,
            catalogue,
            clients,
            logger,
            publicUrl: config.publicUrl,
            connectUiUrl: config.connectUiUrl,
            credentialTestMs: config.credentialTestMs,
            wakeDeliveries,
            onStep,
        };
        const connectUi = openConnectUi(config, connectUiDirectory, logger);
        const interruptedFlows = new InterruptedFlows(connect);
        let isStopping = false;
        const services: Services = {
            config,
            sources,
            logger,
            database,
            vault,
            catalogue,
            egress,
            clients,
            connect,
            sockets,
            flowWaits,
            connectUi,
            streams,
            renewals,
            revocations,
            fetched,
            browserAddress: (address) => (twinServer === undefined ? address : simulatedAddress(address, twinServer)),
            localTokens: new LocalTokens({ catalogue, sources }),
            onAnswer: metrics && ((...answer) => metrics.answered(...answer)),
            isStopping: () => isStopping,
        };
        const server = await buildServer(services);
        const connectUiServer = connectUi && config.connectUi.port !== undefined ? buildConnectUiServer(connectUi, sources) : undefined;
        metrics?.watchSlots(() => ({ renewals: refresher.busy, deliveries: delivery.busy, hooks: hookRetries.busy }));
        const metricsServer = metrics && buildMetricsServer(metrics);
        return {
            server,
            metricsServer,
            connectUiServer,
            database,
            newApiKeys,
            keySource: keys.description,
            startWork: () => {
                clock.start();
                hints.start(() => delivery.wake());
                if (config.roles.has('worker')) {
                    refresher.start();
                    delivery.start();
                    hookRetries.start();
                    interruptedFlows.start();
                    retention.start();
                }
            },
            close: async () => {
                isStopping = true;
                // Work ends with the port, not after it: a caller may take a minute to send a request, and what is begun until then is cut
                // off with the process where nobody waits longer.
                await Promise.all([
                    server.close(),
                    metricsServer?.close(),
                    connectUiServer?.close(),
                    sockets.stop(),
                    flowWaits.stop(),
                    streams.stop(),
                    refresher.stop(),
                    delivery.stop(),
                    hookRetries.stop(),
                    interruptedFlows.stop(),
                    retention.stop(),
                ]);
                await Promise.all([clock.stop(), hints.stop(), renewals.drain(), revocations.drain(), clients.drain()]);
                await fetched.flush();
                await egress.close();
                await database.close();
            },
        };
    } catch (error) {
        await database.close();
        throw isRefusedByDatabase(error)
            ? new StartupError(
                  `The database refuses its role what Valetkey needs (${error.message}); make the role the owner of the database and of its tables.`,
              )
            : error;
    }
}

/** A server that only works, or is told not to, has none. */
function openConnectUi(config: Config, directory: string, logger: Logger): ConnectUiPage | undefined {
    if (!config.connectUi.isServed || !config.roles.has('api')) {
        return undefined;
    }
    const page = new ConnectUiPage(config, readBuild(directory));
    if (!page.isBuilt) logger.warn(notBuiltMessage);
    return page;
}

/** SQLSTATE 42501, insufficient_privilege. */
const isRefusedByDatabase = (error: unknown): error is Error => error instanceof Error && 'code' in error && error.code === '42501';

/** Loaded where somebody wants it: the client's memory is not free. */
async function openMetrics({ labelsProvider }: NonNullable<Config['metrics']>, database: Database, sources: Sources): Promise<Metrics> {
    const { Metrics } = await import('./metrics.ts');
    return new Metrics({ database, sources, labelsProvider });
}

function openEgress(config: Config, sources: Sources, twinServer: URL | undefined): Egress {
    try {
        return createEgress({ allow: config.egressAllow, sources, userAgent, reroute: twinServer });
    } catch (error) {
        throw error instanceof EgressAllowError ? new StartupError(error.message) : error;
    }
}

function openCatalogue(config: Config, egress: Egress, logger: Logger): Catalogue {
    try {
        const catalogue = loadCatalogue({ ...builtinCatalogue, operator: config.providersFile, isPlainHttpAllowed: egress.isOpened });
        const own = catalogue.entries().filter(({ isBuiltin }) => !isBuiltin);
        for (const { slug, path, message, rule } of lintWarnings(own)) {
            logger.warn({ provider: slug, path, rule }, `provider file: ${message}`);
        }
        return catalogue;
    } catch (error) {
        throw error instanceof CatalogueError ? new StartupError(error.message) : error;
    }
}
