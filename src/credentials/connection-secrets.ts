/**
 * Connection configuration that is secret is kept apart, sealed (E4): what the catalogue marks `secret`, and whatever is named
 * like one. The API lays it over `connection_config` for callers who may read credentials, so that its shape is the reference's.
 */
import type { ConnectionRow } from '../store/schema.ts';
import type { SealedPlace, Vault } from './vault.ts';

type Config = Record<string, unknown>;

/** W08: many fields are secret without being marked. */
const secretNames = /secret|password|passphrase|private_?key|api_?key|token|credential/i;

export const isSecretName = (name: string): boolean => secretNames.test(name) || internalNames.has(name);

/** M5: what a flow found out and which client it used. Sealed, for renewals only, and never shown. */
const internalNames: ReadonlySet<string> = new Set(['oauth_metadata', 'oauth_client_info', 'oauth_resource_url', 'oauth_code_verifier']);

const secretsPlace = (row: { environment_id: string; id: string }): SealedPlace => ({
    environmentId: row.environment_id,
    table: 'connections',
    column: 'sealed_secrets',
    rowId: row.id,
});

/** The two columns that hold a connection's configuration. */
export function sealConfig(
    vault: Vault,
    row: { environment_id: string; id: string },
    config: Config,
    isMarkedSecret: (name: string) => boolean,
): { clear: Config; sealed: string | null } {
    const isSecret = ([name, value]: [string, unknown]): boolean => (isMarkedSecret(name) || isSecretName(name)) && typeof value !== 'boolean';
    const entries = Object.entries(config);
    const secrets = Object.fromEntries(entries.filter(isSecret));
    return {
        clear: Object.fromEntries(entries.filter((entry) => !isSecret(entry))),
        sealed: Object.keys(secrets).length === 0 ? null : vault.sealJson(secrets, secretsPlace(row)),
    };
}

/** `sealed_secrets` with one more secret, or another value for it. @throws VaultError */
export async function withSecret(
    vault: Vault,
    row: Pick<ConnectionRow, 'id' | 'environment_id' | 'sealed_secrets'>,
    name: string,
    value: string,
): Promise<string> {
    const secrets = row.sealed_secrets === null ? {} : (JSON.parse(await vault.openFresh(row.sealed_secrets, secretsPlace(row))) as Config);
    return vault.sealJson({ ...secrets, [name]: value }, secretsPlace(row));
}

/** The whole configuration. @throws VaultError */
export async function openConfig(
    vault: Vault,
    row: Pick<ConnectionRow, 'id' | 'environment_id' | 'connection_config' | 'sealed_secrets'>,
): Promise<Config> {
    return row.sealed_secrets === null
        ? row.connection_config
        : { ...row.connection_config, ...(JSON.parse(await vault.openFresh(row.sealed_secrets, secretsPlace(row))) as Config) };
}

/** The configuration as those may see it who may read credentials. @throws VaultError */
export const openShownConfig = async (vault: Vault, row: Parameters<typeof openConfig>[1]): Promise<Config> =>
    Object.fromEntries(Object.entries(await openConfig(vault, row)).filter(([name]) => !internalNames.has(name)));

/**
 * Configuration with a provider's news laid over it; a member that is `undefined` goes. What was sealed stays sealed.
 * @throws VaultError
 */
export async function mergeConfig(
    vault: Vault,
    row: Pick<ConnectionRow, 'id' | 'environment_id' | 'connection_config' | 'sealed_secrets'>,
    news: Config,
    isMarkedSecret: (name: string) => boolean,
): Promise<{ clear: Config; sealed: string | null }> {
    const stored = await openConfig(vault, row);
    const merged = Object.fromEntries(Object.entries({ ...stored, ...news }).filter(([, value]) => value !== undefined));
    const wasSealed = (name: string): boolean => Object.hasOwn(stored, name) && !Object.hasOwn(row.connection_config, name);
    return sealConfig(vault, row, merged, (name) => isMarkedSecret(name) || wasSealed(name));
}
