/** The commands: serve (default), simulate, prove, migrate, keys, providers. */
import type { FastifyInstance } from 'fastify';
import { pino, type Logger, type LoggerOptions } from 'pino';
import { buildApp, builtinCatalogue } from './app.ts';
import { loadConfig, StartupError, type Config } from './config.ts';
import { findEncryptionKey } from './credentials/key-file.ts';
import { openVault } from './credentials/key-ring.ts';
import { rotateKeys } from './credentials/key-rotation.ts';
import { isPassing } from './credentials/until-database-answers.ts';
import { createRecoveryKey } from './environments/api-keys.ts';
import { collectAfterStart, keepBetweenBursts } from './heap.ts';
import { assertPortFree, cannotListen } from './port.ts';
import { CatalogueError, describeProblem } from './providers/catalogue-problem.ts';
import { compileBuiltin } from './providers/compiled-catalogue.ts';
import { compileLogos } from './providers/logos/logos.ts';
import { readSimulateOptions, startTwins, forSimulating } from './simulate.ts';
import { systemSources } from './sources.ts';
import { startupSummary } from './startup-summary.ts';
import * as dataKeys from './store/data-keys.ts';
import { openDatabase } from './store/database.ts';
import * as environments from './store/environments.ts';
import { migrate } from './store/migrate.ts';

const usage = `Usage: valetkey [command]

  serve         run the API and the background work (default)
                --simulate: with offline twins in place of all providers
  simulate      run the offline twins alone; --port N, --providers FILE (a further catalogue file)
  prove         show that no token and no event is lost: processes on a database of their own, kills, pauses, slow providers;
                needs DATABASE_URL; --seconds N, --seed N, …
  migrate       bring the database up to date and exit
  keys rotate   make a new data key and seal every stored secret with it; safe beside running servers, can be repeated
  keys create <environment>|account
                make an API key with full access and print it once, for when every other one is lost; safe beside running servers
  providers compile
                check the built-in provider catalogue and compile it and its logos, so that the first start need not; an installation does this
`;

export async function run(words: readonly string[]): Promise<void> {
    try {
        const command = words.join(' ');
        if (command === '' || command === 'serve') {
            await serve();
        } else if (command === '--simulate' || command === 'serve --simulate') {
            await serve({ isSimulating: true });
        } else if (words[0] === 'simulate') {
            await simulate(words.slice(1));
        } else if (words[0] === 'prove') {
            await (await import('./prove.ts')).prove(words.slice(1));
        } else if (command === 'migrate') {
            await migrateOnly();
        } else if (command === 'keys rotate') {
            await rotate();
        } else if (words[0] === 'keys' && words[1] === 'create' && words[2] !== undefined && words.length === 3) {
            await createKey(words[2]);
        } else if (command === 'providers compile') {
            compileProviders();
        } else {
            process.stderr.write(usage);
            process.exitCode = command === 'help' || command === '--help' ? 0 : 2;
        }
    } catch (error) {
        if (!(error instanceof StartupError)) {
            throw error;
        }
        process.stderr.write(`Valetkey cannot start. ${error.message}\n`);
        process.exitCode = 1;
    }
}

async function serve({ isSimulating = false }: { isSimulating?: boolean } = {}): Promise<void> {
    const config = isSimulating ? forSimulating(loadConfig(undefined, { isSimulating })) : loadConfig();
    // Before anything is written: a key that is made and printed by a start that fails would be lost.
    await assertPortFree(config);
    if (config.metrics) await assertPortFree(config.metrics, 'VALETKEY_METRICS_PORT');
    const connectUi = config.connectUi.port === undefined ? undefined : { host: config.host, port: config.connectUi.port };
    if (connectUi) await assertPortFree(connectUi, 'VALETKEY_CONNECT_UI_PORT');
    const logger = newLogger(config);
    const twins = isSimulating ? await startTwins(config) : undefined;
    const app = await buildApp({ config, logger, sources: systemSources, twinServer: twins?.address }).catch(async (error: unknown) => {
        await twins?.close();
        throw error;
    });
    twins?.connectThrough(app, config);
    stopOnSignal({ close: () => Promise.all([app.close(), twins?.close()]) }, logger);
    const listen = async (server: FastifyInstance, { host, port }: Pick<Config, 'host' | 'port'>, variable?: string): Promise<void> => {
        await server.listen({ host, port }).catch(async (error: unknown) => {
            // Taken since it was probed.
            await Promise.all([app.close(), twins?.close()]);
            throw cannotListen(error, { host, port }, variable);
        });
    };
    if (config.metrics && app.metricsServer) await listen(app.metricsServer, config.metrics, 'VALETKEY_METRICS_PORT');
    if (connectUi && app.connectUiServer) await listen(app.connectUiServer, connectUi, 'VALETKEY_CONNECT_UI_PORT');
    await listen(app.server, config);
    app.startWork();
    process.stdout.write(startupSummary(config, app, twins?.page));
    logger.info({ port: config.port, database: app.database.kind }, 'serving');
    collectAfterStart();
    keepBetweenBursts();
}

async function simulate(words: readonly string[]): Promise<void> {
    const { port, providers } = readSimulateOptions(words);
    const config = loadConfig(undefined, { isSimulating: true });
    const logger = newLogger(config);
    const twins = await startTwins({ ...config, simulatorPort: port ?? config.simulatorPort, providersFile: providers ?? config.providersFile });
    stopOnSignal(twins, logger);
    process.stdout.write(`\n  The providers of the catalogue are simulated at ${twins.page}\n\n`);
}

async function migrateOnly(): Promise<void> {
    const database = await openDatabase(loadConfig().database);
    try {
        const names = await migrate(database.db);
        process.stdout.write(names.length === 0 ? 'The database is up to date.\n' : `Migrated: ${names.join(', ')}.\n`);
    } finally {
        await database.close();
    }
}

async function rotate(): Promise<void> {
    const config = loadConfig();
    const database = await openDatabase(config.database);
    try {
        const { ring } = findEncryptionKey(config, systemSources, await dataKeys.exist(database.db));
        await migrate(database.db);
        const { keyId, count } = await rotateKeys(database.db, {
            ring,
            sources: systemSources,
            onProgress: (text) => process.stdout.write(`${text}\n`),
        });
        process.stdout.write(`Sealed ${count} values with data key ${keyId}.\n`);
    } catch (error) {
        if (error instanceof StartupError || !isPassing(error)) {
            throw error;
        }
        process.stderr.write('The database went away. What is sealed anew stays so, and nothing is lost: run this again when it is back.\n');
        process.exitCode = 1;
    } finally {
        await database.close();
    }
}

async function createKey(target: string): Promise<void> {
    const config = loadConfig();
    const database = await openDatabase(config.database);
    try {
        const { ring } = findEncryptionKey(config, systemSources, await dataKeys.exist(database.db));
        await migrate(database.db);
        const vault = await openVault(database.db, ring, systemSources);
        const key = await createRecoveryKey(database.db, { vault, sources: systemSources }, target);
        if (key === undefined) {
            const names = await environments.listNames(database.db);
            process.stderr.write(`There is no environment "${target}"; there are: ${[...names, 'account'].join(', ')}.\n`);
            process.exitCode = 1;
            return;
        }
        // Alone on its line, so that a script can take it.
        process.stdout.write(`${key}\n`);
    } finally {
        await database.close();
    }
}

function compileProviders(): void {
    try {
        const entries = compileBuiltin(builtinCatalogue.builtin, builtinCatalogue.compiled);
        const logos = compileLogos();
        process.stdout.write(`Compiled ${entries.size} providers${logos === undefined ? '' : `, ${logos.size} of them with a logo`}.\n`);
    } catch (error) {
        if (!(error instanceof CatalogueError)) throw error;
        process.stderr.write(error.problems.map((problem) => `${describeProblem(problem)}\n`).join(''));
        process.exitCode = 1;
    }
}

const newLogger = (config: Config): Logger => pino(loggerOptions(config));

export const loggerOptions = (config: Pick<Config, 'logLevel'>): LoggerOptions => ({
    level: config.logLevel,
    // Never log a header or body by accident; messages name fields, not values (E5). Errors of the embedded database carry what their
    // statement was given, those of either one, as their detail, the row that it refused.
    redact: { paths: ['req.headers', 'headers', '*.authorization', '*.cookie', 'err.config', 'err.params', 'err.detail'], remove: true },
});

/** Ctrl+C under npm arrives twice at once, from the terminal and from npm, and is one wish; so is what a supervisor tells launcher and child. */
const oneWishMs = 1000;

/** The first signal lets work finish, a later one does not wait. */
function stopOnSignal(app: { close(): Promise<unknown> }, logger: Logger): void {
    let state: 'serving' | 'stopping' | 'impatient' = 'serving';
    const stop = (signal: NodeJS.Signals): void => {
        if (state === 'impatient') {
            process.exit(1);
        }
        if (state === 'stopping') {
            return;
        }
        state = 'stopping';
        setTimeout(() => (state = 'impatient'), oneWishMs).unref();
        logger.info({ signal }, 'stopping: no new requests, finishing what is under way');
        app.close().then(
            () => process.exit(0),
            (error: unknown) => {
                logger.error({ err: error }, 'did not stop cleanly');
                process.exit(1);
            },
        );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
}
