/** Simulate mode: the twins beside Valetkey, in one process. What it refuses, how it starts, and the button that connects a provider. */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { App } from './app.ts';
import { StartupError, type Config } from './config.ts';
import { assertPortFree, cannotListen } from './port.ts';
import { systemSources } from './sources.ts';
import type { Database } from './store/database.ts';
import { hasProductionConnections } from './store/production-data.ts';

export interface Twins {
    /** For calls. */
    address: URL;
    /** For people. */
    page: string;
    /** Lets the page connect providers through this Valetkey. */
    connectThrough(app: App, config: Config): void;
    close(): Promise<void>;
}

const builtinCatalogue = join(import.meta.dirname, '../providers.yaml');

/** @throws StartupError */
export function readSimulateOptions(words: readonly string[]): { port: number | undefined; providers: string | undefined } {
    try {
        const { values } = parseArgs({ args: [...words], options: { port: { type: 'string' }, providers: { type: 'string' } } });
        const port = values.port === undefined ? undefined : Number(values.port);
        if (port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65535)) return { port, providers: values.providers };
    } catch {
        // said below
    }
    throw new StartupError(
        '"valetkey simulate" takes --port with a port number and --providers with the path of a catalogue file, and nothing else.',
    );
}

/** @throws StartupError */
export async function startTwins({
    isProduction,
    simulatorPort: port,
    providersFile,
    publicUrl,
}: Pick<Config, 'isProduction' | 'simulatorPort' | 'providersFile' | 'publicUrl'>): Promise<Twins> {
    if (isProduction) {
        throw new StartupError('Providers are not simulated where NODE_ENV is production; unset it, or start without simulation.');
    }
    const place = { host: '127.0.0.1', port };
    await assertPortFree(place, 'VALETKEY_SIMULATOR_PORT');
    const [{ Simulator }, { buildTwinServer }] = await Promise.all([import('./simulator/simulator.ts'), import('./simulator/server.ts')]);
    const catalogueFiles = [builtinCatalogue, ...(providersFile === undefined ? [] : [providersFile])];
    const simulator = await Simulator.open({ sources: systemSources, catalogueFiles, valetkeyUrl: publicUrl });
    const server = buildTwinServer(simulator);
    await server.listen(place).catch((error: unknown) => {
        throw cannotListen(error, place, 'VALETKEY_SIMULATOR_PORT');
    });
    const actual = (server.server.address() as AddressInfo).port;
    return {
        address: new URL(`http://127.0.0.1:${actual}`),
        page: `http://localhost:${actual}/`,
        connectThrough: (app, config) => {
            simulator.connect = (slug) => connectUrl(app, config, { slug, samples: simulator.world.samples.of(slug).integration });
        },
        close: () => server.close(),
    };
}

/**
 * A key for the button, and for whoever tries the API: it lasts as long as this process, unless it is configured. And `localhost` may be
 * called, because that is where the product is that wants the webhooks.
 */
export function forSimulating(config: Config): Config {
    const key = `simulated_${systemSources.random(24).toString('base64url')}`;
    const secretKeys = config.secretKeys.has('dev') ? config.secretKeys : new Map([...config.secretKeys, ['dev', key]]);
    return { ...config, secretKeys, egressAllow: [...config.egressAllow, 'localhost'] };
}

/** Simulated tokens beside real ones would be told apart by nobody. @throws StartupError */
export async function assertNothingReal({ db }: Pick<Database, 'db'>): Promise<void> {
    if (await hasProductionConnections(db)) {
        throw new StartupError(
            'Providers are not simulated over a database whose production environment has connections; give the simulation a database of its own.',
        );
    }
}

/** The steps that a backend takes, by its own key: an integration, a connect session, and the address the popup opens. */
async function connectUrl(
    { server }: App,
    config: Config,
    { slug, samples }: { slug: string; samples: Readonly<Record<string, string>> },
): Promise<string | undefined> {
    const key = config.secretKeys.get('dev');
    if (key === undefined) return undefined;
    const headers = { authorization: `Bearer ${key}` };
    const { client_id, client_secret, scopes } = samples;
    const credentials = { type: 'OAUTH2', client_id, client_secret, ...(scopes === undefined ? {} : { scopes }) };
    await server.inject({ method: 'POST', url: '/integrations', headers, payload: { provider: slug, unique_key: slug, credentials } });
    const session = await server.inject({
        method: 'POST',
        url: '/connect/sessions',
        headers,
        payload: { tags: { end_user_id: 'simulated-user' }, allowed_integrations: [slug] },
    });
    const { data } = session.json<{ data?: { token: string } }>();
    return data && `${config.publicUrl}/oauth/connect/${slug}?${new URLSearchParams({ connect_session_token: data.token }).toString()}`;
}
