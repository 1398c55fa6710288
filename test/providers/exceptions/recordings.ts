/** The recorded calls of every exceptional provider, and a connection of one. */
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModeContext } from '../../../src/auth-modes/auth-mode.ts';
import type { Credentials } from '../../../src/credentials/credential.ts';
import type { ProviderEntry } from '../../../src/providers/provider.ts';
import { makeProvider } from '../make-provider.ts';
import { fixedSources, type RecordedCall, type Vendors } from './vendors.ts';
import { noClients } from '../../auth-modes/no-clients.ts';

export interface Step {
    /** Before a refresh. */
    stored?: Credentials;
    connection_config?: Record<string, unknown>;
    calls: RecordedCall[];
    credentials: Credentials;
    /** Configuration that came along; `null`: removed. */
    config?: Record<string, unknown>;
}

export interface Recording {
    entry: Partial<ProviderEntry>;
    client_id: string;
    client_secret: string;
    scopes?: string;
    connection_config: Record<string, unknown>;
    /** `null`: the mode has no code, or no refresh. */
    exchange: Step | null;
    refresh: Step | null;
    /** R14. */
    confirmation?: RecordedCall & { stored?: Credentials };
}

const folder = join(import.meta.dirname, 'fixtures');

export const recordings: ReadonlyMap<string, Recording> = new Map(
    readdirSync(folder)
        .filter((file) => file.endsWith('.json'))
        .map((file) => [file.slice(0, -'.json'.length), JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recording]),
);

/** In place of `{{private key}}`. */
export const keyPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const privateKey = keyPair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

export function contextOf(vendors: Vendors, recording: Recording, connectionConfig = recording.connection_config): ModeContext {
    const { entry, client_id: clientId, client_secret: clientSecret, scopes } = recording;
    return {
        provider: makeProvider({ display_name: 'Recorded', ...entry }),
        integration: {
            id: 'i',
            environmentId: 'e',
            uniqueKey: 'recorded',
            clientId,
            clientSecret: clientSecret === '{{private key}}' ? privateKey : clientSecret,
            scopes: scopes ?? null,
            extras: {},
            allowedHosts: null,
            isProduction: true,
        },
        clients: noClients,
        connectionConfig,
        egress: vendors.egress,
        sources: fixedSources,
    };
}

export const codeGrant = { code: 'the-code', redirectUri: 'https://vk.example/oauth/callback', pkceVerifier: 'the-verifier', state: 'the-state' };
