/** Runs post-connection hooks again that failed when their connection was made (A5): by any worker, for about a day. */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { RegisteredClients } from '../auth-modes/mcp/registered-clients.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { mergeConfig, openConfig } from '../credentials/connection-secrets.ts';
import type { Credentials } from '../credentials/credential.ts';
import { credentialsPlace } from '../credentials/credential-places.ts';
import { VaultError, type Vault } from '../credentials/vault.ts';
import type { Egress } from '../egress/egress.ts';
import { OperationRecord } from '../egress/operation-record.ts';
import type { Catalogue } from '../providers/catalogue.ts';
import type { PostConnectionHook } from '../providers/hooks/hook.ts';
import type { Provider } from '../providers/provider.ts';
import type { Sources } from '../sources.ts';
import * as connections from '../store/connections.ts';
import * as environments from '../store/environments.ts';
import * as integrations from '../store/integrations.ts';
import { claimDue, hookQueue, LeasedWorker } from '../store/leased-work.ts';
import * as operations from '../store/operations.ts';
import * as hooks from '../store/post-connection-hooks.ts';
import type { ConnectionRow, IntegrationRow, PostConnectionHookRow, Schema } from '../store/schema.ts';
import { attempt, discover, failureMessage, nextAttemptAt, postConnectionHook, type Discovery } from './post-connection.ts';
import { isMarkedSecret } from './upsert-connection.ts';

const concurrency = 5;
/** A provider that is down leaves slots to the others. */
const perProvider = 2;
const pollMs = 2_000;
const hookMs = 45_000;
/** Longer than a hook may take. */
const leaseMs = 60_000;
/** Until a renewal that is under way has written. */
const renewalPauseMs = 5_000;

interface Dependencies {
    db: Kysely<Schema>;
    vault: Vault;
    catalogue: Catalogue;
    egress: Egress;
    clients: RegisteredClients;
    sources: Sources;
    logger: Logger;
    owner: string;
}

interface Target {
    row: ConnectionRow;
    integration: IntegrationRow;
    provider: Provider;
    hook: PostConnectionHook;
}

export class HookRetries {
    readonly #dependencies: Dependencies;
    readonly #worker: LeasedWorker;

    constructor(dependencies: Dependencies) {
        const { db, sources, owner, logger } = dependencies;
        this.#dependencies = dependencies;
        this.#worker = new LeasedWorker({
            sources,
            concurrency,
            pollMs,
            claim: (limit, busyGroups) => claimDue(db, hookQueue, { owner, now: sources.now(), leaseMs, limit, groupLimit: perProvider, busyGroups }),
            work: (item) => this.#attempt(item.id, item.epoch),
            onError: (error) => logger.error({ err: error }, 'a post-connection hook could not be carried out'),
        });
    }

    get busy(): number {
        return this.#worker.busy;
    }

    start(): void {
        this.#worker.start();
    }

    stop(): Promise<void> {
        return this.#worker.stop();
    }

    async #attempt(id: string, epoch: number): Promise<void> {
        const claimed = await hooks.findClaimed(this.#dependencies.db, id, epoch);
        if (claimed === undefined) {
            return;
        }
        const target = await this.#targetOf(claimed);
        if (target === undefined) {
            await this.#giveWay(claimed);
            return;
        }
        const asked = new OperationRecord(this.#dependencies.sources);
        asked.retry = attempt(claimed.attempts + 1);
        const discovery = await this.#discover(target, asked);
        await (discovery.outcome === 'found'
            ? this.#finish(claimed, target, discovery.config, asked)
            : this.#postpone(claimed, discovery.reason, asked));
    }

    async #targetOf({ connection_row_id }: PostConnectionHookRow): Promise<Target | undefined> {
        const { db, catalogue } = this.#dependencies;
        const row = await connections.findById(db, connection_row_id);
        const integration = row && (await integrations.findById(db, row.integration_id));
        const provider = row && catalogue.get(row.provider);
        const hook = provider && postConnectionHook(provider);
        return row && integration && provider && hook && { row, integration, provider, hook };
    }

    async #discover({ row, integration, provider, hook }: Target, asked: OperationRecord): Promise<Discovery> {
        const { db, vault, egress, sources, clients, logger } = this.#dependencies;
        const environment = await environments.findById(db, row.environment_id);
        try {
            const credentials = JSON.parse(await vault.openFresh(row.sealed_credentials, credentialsPlace(row))) as Credentials;
            const context = {
                provider,
                integration: await openIntegration(vault, integration, environment?.is_production ?? true),
                connectionConfig: await openConfig(vault, row),
                egress,
                sources,
                clients,
                logger,
            };
            return await discover(
                hook,
                recorded(asked, context, () => credentials),
                credentials,
                hookMs,
            );
        } catch (error) {
            if (error instanceof VaultError) {
                return { outcome: 'failed', reason: 'The stored credentials cannot be opened.' };
            }
            throw error;
        }
    }

    /** Writes the names that were found and no other, on the row as it is by now (R3); nothing when somebody connected again meanwhile. */
    async #finish(
        claimed: PostConnectionHookRow,
        { provider }: Target,
        found: Readonly<Record<string, unknown>>,
        asked: OperationRecord,
    ): Promise<void> {
        const { db, vault, sources } = this.#dependencies;
        const at = new Date(sources.now());
        await db.transaction().execute(async (transaction) => {
            const row = await connections.lockById(transaction, claimed.connection_row_id);
            if (row?.refresh_lease_until && row.refresh_lease_until > at) {
                // A renewal writes the configuration that it began with.
                await hooks.postpone(transaction, claimed, { attempts: claimed.attempts, dueAt: new Date(at.getTime() + renewalPauseMs) });
                return;
            }
            if (!(await hooks.removeClaimed(transaction, claimed)) || row === undefined) {
                return;
            }
            const { clear, sealed } = await mergeConfig(vault, row, found, isMarkedSecret(provider));
            await connections.replaceConfig(transaction, row.id, { clear, sealed, at });
            await operations.end(transaction, claimed.operation_id, {
                state: 'success',
                message: `Details of the account looked up at attempt ${claimed.attempts + 1}`,
                said: asked.messages(),
                at,
            });
        });
    }

    async #postpone(claimed: PostConnectionHookRow, reason: string, asked: OperationRecord): Promise<void> {
        const { db, sources, logger } = this.#dependencies;
        const attempts = claimed.attempts + 1;
        const dueAt = nextAttemptAt(attempts, sources);
        logger.warn(
            { connection_row: claimed.connection_row_id, provider: claimed.provider, attempt: attempts, reason },
            'post-connection hook failed',
        );
        await db.transaction().execute(async (transaction) => {
            if (dueAt === null) {
                await connections.lockById(transaction, claimed.connection_row_id);
            }
            const isMine = dueAt === null ? hooks.giveUp(transaction, claimed, attempts) : hooks.postpone(transaction, claimed, { attempts, dueAt });
            if (!(await isMine)) {
                return;
            }
            const message = failureMessage(reason);
            const at = new Date(sources.now());
            await operations.amend(transaction, [claimed.operation_id], {
                level: dueAt === null ? 'error' : 'warn',
                message,
                meta: { attempts },
                said: asked.messages(),
                at,
            });
            if (dueAt === null) {
                const error = { type: 'post_connection_failed', message };
                await operations.end(transaction, claimed.operation_id, { state: 'failed', message, error, at });
            }
        });
    }

    /** The connection was deleted, or its provider has no hook any more. */
    async #giveWay(claimed: PostConnectionHookRow): Promise<void> {
        const { db, sources } = this.#dependencies;
        await db.transaction().execute(async (transaction) => {
            await connections.lockById(transaction, claimed.connection_row_id);
            if (await hooks.removeClaimed(transaction, claimed)) {
                await operations.cancel(transaction, claimed.operation_id, 'There is nothing to look up any more', new Date(sources.now()));
            }
        });
    }
}
