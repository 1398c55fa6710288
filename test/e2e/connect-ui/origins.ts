/**
 * What the Connect UI and the official frontend client are tried on, but for the browser: a host page at `http://localhost`, the API
 * and the Connect UI at two ports of 127.0.0.1, a provider at 127.0.0.2 (frontend contract §6). The page is the one that
 * `npm run prepare` built.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { startConsentServer, type ConsentServer } from '../../peers/consent-server.ts';
import { freePort } from '../../peers/free-port.ts';
import { startHostPage, type HostPage } from '../../peers/host-page.ts';
import { createDatabase } from '../../peers/postgres.ts';
import { apiKeyEntry, basicEntry, oauth2Entry, providersFile } from '../provider-entries.ts';
import { newEncryptionKey, newTestApiKey, startValetkey, type Valetkey, type ValetkeyOptions } from '../valetkey.ts';

export interface OriginsOptions {
    /** Provider entries beside `oauth-test`, `key-test` and `basic-test`. */
    providers?: (provider: ConsentServer) => Record<string, unknown>[];
    /** Environment variables of Valetkey. */
    env?: Record<string, string>;
}

export interface Session {
    token: string;
    connect_link: string;
    expires_at: string;
}

export interface Origins {
    /** Integrations `oauth`, `keys` and `basic` are there. */
    valetkey: Valetkey;
    /** What `valetkey` was started with: a replica has the same but for the port. */
    options: ValetkeyOptions;
    /** `http://127.0.0.1:U`: the Connect UI's own origin. */
    uiUrl: string;
    provider: ConsentServer;
    /** Without headers of its own; {@link startHostPage} makes others. */
    host: HostPage;
    /** An integration with the provider's client, if it is a redirect mode's. */
    integrate(provider: string, uniqueKey: string, credentials?: Record<string, unknown>): Promise<void>;
    /** A connect session; `{}`: everything is allowed. */
    session(body?: Record<string, unknown>): Promise<Session>;
    close(): Promise<void>;
}

const built = join(import.meta.dirname, '../../../dist/ui/connect/manifest.json');

export async function startOrigins({ providers = () => [], env = {} }: OriginsOptions = {}): Promise<Origins> {
    if (!existsSync(built)) throw new Error('The Connect UI is not built: npm run prepare');
    const closers: (() => Promise<unknown>)[] = [];
    const close = async (): Promise<void> => {
        for (const closer of closers.toReversed()) await closer();
    };
    try {
        const database = await createDatabase();
        closers.push(() => database.drop());
        const provider = await startConsentServer();
        closers.push(() => provider.close());
        const host = await startHostPage();
        closers.push(() => host.close());
        const uiPort = await freePort();
        const uiUrl = `http://127.0.0.1:${uiPort}`;
        const options: ValetkeyOptions = {
            port: await freePort(),
            databaseUrl: database.url,
            encryptionKey: newEncryptionKey(),
            apiKey: newTestApiKey(),
            providers: providersFile(
                oauth2Entry('oauth-test', provider),
                apiKeyEntry('key-test', provider.url),
                basicEntry('basic-test', provider.url),
                ...providers(provider),
            ),
            env: { VALETKEY_CONNECT_UI_PORT: String(uiPort), VALETKEY_CONNECT_UI_URL: uiUrl, ...env },
        };
        const valetkey = await startValetkey(options);
        closers.push(() => valetkey.stop());

        const integrate: Origins['integrate'] = async (slug, uniqueKey, credentials) => {
            const body = { provider: slug, unique_key: uniqueKey, ...(credentials && { credentials }) };
            const answer = await valetkey.call('POST', '/integrations', body);
            if (answer.status !== 200) throw new Error(`POST /integrations answered ${answer.status}: ${JSON.stringify(answer.body)}`);
        };
        await integrate('oauth-test', 'oauth', clientOf(provider));
        await integrate('key-test', 'keys');
        await integrate('basic-test', 'basic');

        return {
            valetkey,
            options,
            uiUrl,
            provider,
            host,
            integrate,
            session: async (body = {}) => {
                const answer = await valetkey.call<{ data: Session }>('POST', '/connect/sessions', { end_user: { id: 'user-1' }, ...body });
                if (answer.status !== 201) throw new Error(`POST /connect/sessions answered ${answer.status}: ${JSON.stringify(answer.body)}`);
                return answer.body.data;
            },
            close,
        };
    } catch (error) {
        await close();
        throw error;
    }
}

/** The client with which integrations of the rig's provider are made. */
export const clientOf = ({ tokens }: ConsentServer) => ({ type: 'OAUTH2', client_id: tokens.clientId, client_secret: tokens.clientSecret });
