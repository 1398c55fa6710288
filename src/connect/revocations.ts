/**
 * Grants of deleted connections on their way to being revoked (E7). Best effort: a deletion never waits for its provider, the
 * tokens are in this process's memory alone, and if it dies they are not revoked.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { RegisteredClients } from '../auth-modes/mcp/registered-clients.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { endsAll, isRevocable, revokeGrant, type RevocationOutcome, type SkipReason } from '../auth-modes/revocation.ts';
import { openConfig } from '../credentials/connection-secrets.ts';
import type { Credentials } from '../credentials/credential.ts';
import { credentialsPlace } from '../credentials/credential-places.ts';
import { VaultError, type Vault } from '../credentials/vault.ts';
import type { Egress } from '../egress/egress.ts';
import { OperationRecord } from '../egress/operation-record.ts';
import type { Catalogue } from '../providers/catalogue.ts';
import type { Sources } from '../sources.ts';
import * as connections from '../store/connections.ts';
import * as environments from '../store/environments.ts';
import * as operations from '../store/operations.ts';
import type { ConnectionRow, IntegrationRow, OperationRow, Schema } from '../store/schema.ts';

export interface DeletedConnection {
    /** As it was before it was shredded. */
    row: ConnectionRow;
    integration: IntegrationRow;
    /** The deletion, where the outcome is recorded. */
    operationId: string;
}

/** `pending`: the attempt is still to be made, or was never made because the process died. */
export type RecordedRevocation = RevocationOutcome | { outcome: 'pending' };

interface Dependencies {
    db: Kysely<Schema>;
    vault: Vault;
    catalogue: Catalogue;
    egress: Egress;
    sources: Sources;
    clients: RegisteredClients;
    logger: Logger;
}

/** One provider that does not answer must not fill the memory with sockets. */
const atOnce = 20;

export class Revocations {
    readonly #dependencies: Dependencies;
    readonly #waiting: DeletedConnection[] = [];
    readonly #underWay = new Set<Promise<void>>();

    constructor(dependencies: Dependencies) {
        this.#dependencies = dependencies;
    }

    /** What can be said before anything is opened or sent. */
    plan(row: Pick<ConnectionRow, 'provider' | 'credential_type' | 'metadata'>, isAskedFor: boolean): RecordedRevocation {
        const skipped = (reason: SkipReason): RecordedRevocation => ({ outcome: 'skipped', reason });
        if (!isRevocable(this.#dependencies.catalogue.get(row.provider), row.credential_type)) {
            return skipped('not_supported');
        }
        if (!isAskedFor) {
            return skipped('not_asked_for');
        }
        return row.metadata?.['skipTokenRevocation'] === true ? skipped('skip_token_revocation') : { outcome: 'pending' };
    }

    /** Returns at once. */
    start(deleted: DeletedConnection): void {
        this.#waiting.push(deleted);
        this.#fill();
    }

    /** Lets what is under way finish; what still waits behind it is given up. */
    async drain(): Promise<void> {
        const left = this.#waiting.splice(0).map((deleted) => deleted.operationId);
        await this.#record(left, { outcome: 'failed', code: 'shutting_down' });
        while (this.#underWay.size > 0) {
            await Promise.all(this.#underWay);
        }
    }

    #fill(): void {
        while (this.#underWay.size < atOnce && this.#waiting.length > 0) {
            const task = this.#carryOut(this.#waiting.shift()!).finally(() => {
                this.#underWay.delete(task);
                this.#fill();
            });
            this.#underWay.add(task);
        }
    }

    async #carryOut(deleted: DeletedConnection): Promise<void> {
        const asked = new OperationRecord(this.#dependencies.sources);
        const outcome = await this.#revoke(deleted, asked).catch((error: unknown): RevocationOutcome => {
            this.#dependencies.logger.error({ err: error, connection_row: deleted.row.id }, 'a revocation failed unexpectedly');
            return { outcome: 'failed', code: 'server_error' };
        });
        await this.#record([deleted.operationId], outcome, asked);
    }

    async #revoke({ row, integration }: DeletedConnection, asked: OperationRecord): Promise<RevocationOutcome> {
        const { db, vault, catalogue, egress, sources, clients } = this.#dependencies;
        const provider = catalogue.get(row.provider);
        if (provider === undefined) {
            return { outcome: 'skipped', reason: 'not_supported' };
        }
        const environment = await environments.findById(db, row.environment_id);
        try {
            const credentials = JSON.parse(await vault.openFresh(row.sealed_credentials, credentialsPlace(row))) as Credentials;
            const context = {
                provider,
                // An environment that is gone by now is treated with the greater care (N2).
                integration: await openIntegration(vault, integration, environment?.is_production ?? true),
                connectionConfig: await openConfig(vault, row),
                egress,
                sources,
                clients,
            };
            return endsAll(provider, row.credential_type) && (await this.#mayBeShared(row, integration, credentials))
                ? { outcome: 'skipped', reason: 'possibly_shared_grant' }
                : await revokeGrant(
                      recorded(asked, context, () => credentials),
                      credentials,
                  );
        } catch (error) {
            if (error instanceof VaultError) {
                return { outcome: 'skipped', reason: 'credentials_unreadable' };
            }
            throw error;
        }
    }

    /** Whether another connection, in whichever environment, may stand on the same user's grant to the same OAuth app. */
    async #mayBeShared({ end_user, tags }: ConnectionRow, integration: IntegrationRow, credentials: Credentials): Promise<boolean> {
        const own = credentials.type === 'OAUTH2' ? credentials.config_override?.client_id : undefined;
        const clientId = own || integration.oauth_client_id;
        return clientId !== null && connections.mayShareGrant(this.#dependencies.db, clientId, end_user?.id ?? tags['end_user_id']);
    }

    async #record(operationIds: readonly string[], revocation: RevocationOutcome, asked?: OperationRecord): Promise<void> {
        if (operationIds.length === 0) {
            return;
        }
        const { db, sources, logger } = this.#dependencies;
        await operations
            .amend(db, operationIds, { ...summaryOf(revocation), meta: { revocation }, said: asked?.messages() ?? [], at: new Date(sources.now()) })
            .catch((error: unknown) => logger.warn({ err: error }, 'outcome of a revocation not recorded'));
    }
}

function summaryOf(revocation: RevocationOutcome): Pick<OperationRow, 'level' | 'message'> {
    if (revocation.outcome === 'revoked') {
        return { level: 'info', message: 'Connection deleted, its grant revoked' };
    }
    return revocation.outcome === 'skipped' && revocation.reason === 'possibly_shared_grant'
        ? { level: 'info', message: 'Connection deleted; its grant was left alone, another connection may need it' }
        : { level: 'warn', message: 'Connection deleted; its grant could not be revoked' };
}
