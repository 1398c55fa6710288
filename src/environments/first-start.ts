/** What exists before anybody calls the API: the environments `dev` and `prod`, a key for each and for the account, and the keys the operator fixed. */
import type { Kysely } from 'kysely';
import type { Config } from '../config.ts';
import { StartupError } from '../config.ts';
import * as apiKeys from '../store/api-keys.ts';
import type { KeyOwner } from '../store/api-keys.ts';
import type { Db } from '../store/database.ts';
import * as environments from '../store/environments.ts';
import type { Schema } from '../store/schema.ts';
import { addKey, createEnvironment } from './environment.ts';
import { defaultKeyName, fullAccessOf, issueKey, type KeyContext } from './issue-key.ts';

const initial = [
    { name: 'dev', isProduction: false },
    { name: 'prod', isProduction: true },
];

type FixedKeys = Pick<Config, 'secretKeys' | 'accountKey'>;

/** @returns the API keys that were made now, by environment or under `account`: the only time they can be shown. */
export async function prepareEnvironments(db: Kysely<Schema>, context: KeyContext, fixed: FixedKeys): Promise<Map<string, string>> {
    // One transaction: a start that fails over a mistake in the configuration must not leave keys behind that nobody has seen.
    return db.transaction().execute(async (transaction) => {
        const made = new Map<string, string>();
        // Later they may have been renamed or deleted.
        for (const environment of (await environments.existAny(transaction)) ? [] : initial) {
            const fixedKey = fixed.secretKeys.get(environment.name);
            const created = await createEnvironment(transaction, context, { ...environment, origin: 'first_start', fixedKey });
            if (created?.key !== undefined && fixedKey === undefined) {
                made.set(environment.name, created.key.secret);
            }
        }
        await applyFixedKeys(transaction, context, fixed);
        // A fixed key that is no longer configured stops working; an environment is never left without any, nor is the account.
        for (const environment of await environments.withoutKeys(transaction)) {
            const key = await addKey(transaction, context, { ...environment, origin: 'first_start' });
            if (key !== undefined) {
                made.set(environment.name, key.secret);
            }
        }
        if ((await apiKeys.count(transaction, null)) === 0) {
            const scopes = [fullAccessOf(null)];
            const account = { owner: null, displayName: defaultKeyName, scopes, origin: 'first_start' as const };
            const key = await issueKey(transaction, context, { name: 'account' }, account);
            if (key !== undefined) {
                made.set('account', key.secret);
            }
        }
        return made;
    });
}

/** The variables are the truth about fixed keys: what they no longer name stops working. */
async function applyFixedKeys(db: Db, context: KeyContext, { secretKeys, accountKey }: FixedKeys): Promise<void> {
    const fixed: { variable: string; owner: KeyOwner; text: string }[] = [];
    for (const [name, text] of secretKeys) {
        const variable = `VALETKEY_SECRET_KEY_${name.toUpperCase()}`;
        const environment = await environments.findByName(db, name);
        if (environment === undefined) {
            throw new StartupError(`${variable} names no environment; there are: ${(await environments.listNames(db)).join(', ')}.`);
        }
        fixed.push({ variable, owner: environment.id, text });
    }
    if (accountKey !== undefined) {
        fixed.push({ variable: 'VALETKEY_ACCOUNT_KEY', owner: null, text: accountKey });
    }
    const named = new Set(fixed.map(({ owner, text }) => `${owner} ${context.vault.hash(text)}`));
    for (const row of await apiKeys.listConfigured(db)) {
        if (!named.has(`${row.environment_id} ${row.key_hash}`)) {
            await apiKeys.remove(db, row.id, new Date(context.sources.now()));
        }
    }
    for (const { variable, owner, text } of fixed) {
        const key = { owner, displayName: variable, scopes: [fullAccessOf(owner)], origin: 'configured' as const };
        if ((await issueKey(db, context, { text }, key)) === undefined) {
            await assertOpens(db, context, variable, owner, text);
        }
    }
}

/** One key opens one thing; which one must not depend on which variable is looked at first. */
async function assertOpens(db: Db, { vault }: KeyContext, variable: string, owner: KeyOwner, text: string): Promise<void> {
    const found = await apiKeys.ownerOf(db, vault.hash(text));
    if (found !== undefined && found.environment_id !== owner) {
        const other = found.environment_id === null ? 'of the account' : `of the environment ${found.name ?? ''}`;
        throw new StartupError(`${variable} is a key ${other} already; every environment, and the account, needs a key of its own.`);
    }
}
