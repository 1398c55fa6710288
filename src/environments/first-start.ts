/** What exists before anybody calls the API: the environments `dev` and `prod`, and the keys the operator fixed. */
import type { Kysely } from 'kysely';
import type { Config } from '../config.ts';
import { StartupError } from '../config.ts';
import type { Vault } from '../credentials/vault.ts';
import { newRowId, type Sources } from '../sources.ts';
import * as apiKeys from '../store/api-keys.ts';
import type { Db } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import type { Schema } from '../store/schema.ts';
import { addKey, createEnvironment, fullAccess } from './environment.ts';

const initial = [
    { name: 'dev', isProduction: false },
    { name: 'prod', isProduction: true },
];

/** @returns the API keys that were made now, by environment: the only time they can be shown. */
export async function prepareEnvironments(
    db: Kysely<Schema>,
    context: { vault: Vault; sources: Sources },
    secretKeys: Config['secretKeys'],
): Promise<Map<string, string>> {
    // One transaction: a start that fails over a mistake in the configuration must not leave keys behind that nobody has seen.
    return db.transaction().execute(async (transaction) => {
        const made = new Map<string, string>();
        for (const environment of initial) {
            const fixedKey = secretKeys.get(environment.name);
            const key = await createEnvironment(transaction, context, { ...environment, fixedKey });
            if (key !== undefined && fixedKey === undefined) {
                made.set(environment.name, key);
            }
        }
        await applyFixedKeys(transaction, context, secretKeys);
        // A fixed key that is no longer configured stops working; an environment is never left without any.
        for (const environment of await environments.withoutKeys(transaction)) {
            made.set(environment.name, await addKey(transaction, context, { ...environment, fixedKey: undefined }));
        }
        return made;
    });
}

/** `VALETKEY_SECRET_KEY_<ENV>` is the truth about fixed keys: what it no longer names stops working. */
async function applyFixedKeys(db: Db, { vault, sources }: { vault: Vault; sources: Sources }, secretKeys: Config['secretKeys']): Promise<void> {
    const at = new Date(sources.now());
    await apiKeys.removeConfigured(
        db,
        [...secretKeys.values()].map((key) => vault.hash(key)),
        at,
    );
    for (const [name, key] of secretKeys) {
        const environment = await environments.findByName(db, name);
        if (environment === undefined) {
            throw new StartupError(
                `VALETKEY_SECRET_KEY_${name.toUpperCase()} names no environment; there are: ${(await environments.listNames(db)).join(', ')}.`,
            );
        }
        await apiKeys.insert(db, {
            id: newRowId(sources),
            environment_id: environment.id,
            display_name: `VALETKEY_SECRET_KEY_${name.toUpperCase()}`,
            key_hash: vault.hash(key),
            scopes: fullAccess,
            origin: 'configured',
            created_at: at,
        });
    }
}
