/**
 * Clients that registered themselves, kept for the next flow (M3): one per integration, authorization server and redirect URI,
 * sealed. One that has expired, or that its server no longer knows, is replaced once, however many flows and renewals find out.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { SealedPlace, Vault } from '../../credentials/vault.ts';
import type { Egress } from '../../egress/egress.ts';
import { newRowId, type Sources } from '../../sources.ts';
import * as rows from '../../store/client-registrations.ts';
import type { Db } from '../../store/database.ts';
import * as integrations from '../../store/integrations.ts';
import type { ClientRegistrationRow, Schema } from '../../store/schema.ts';
import { ConnectFailure } from '../auth-mode.ts';
import { hasExpired, isSameClient, registrationKey, type Client, type ClientRegistration, type RegistrationRequest } from './client-registration.ts';
import { deleteRegistration, registerClient, rereadRegistration } from './dynamic-registration.ts';

interface Owner {
    id: string;
    environmentId: string;
}

interface Stored {
    row: ClientRegistrationRow;
    registration: ClientRegistration;
}

interface Dependencies {
    db: Kysely<Schema>;
    vault: Vault;
    egress: Egress;
    sources: Sources;
    logger: Logger;
    /** Of this server; client metadata documents are below it. */
    publicUrl: string;
}

const registrationMs = 10_000;
/** Below the ten seconds that orchestrators grant a process to end. */
const deletionMs = 8_000;
/** One server that does not answer must not fill the memory with sockets. */
const deletionsAtOnce = 20;

export class RegisteredClients {
    readonly publicUrl: string;
    readonly #dependencies: Dependencies;
    /** What is under way, by registration: whoever comes next waits and finds its result stored. */
    readonly #turns = new Map<string, Promise<unknown>>();
    readonly #leaving: ClientRegistration[] = [];
    readonly #deletions = new Set<Promise<void>>();

    constructor(dependencies: Dependencies) {
        this.#dependencies = dependencies;
        this.publicUrl = dependencies.publicUrl;
    }

    /** The registered client, or a new one. @param egress the way out of whoever needs it. @throws RegistrationFailure; ConnectFailure `unknown_provider_config` when the integration is gone */
    acquire(owner: Owner, request: RegistrationRequest, egress: Egress): Promise<ClientRegistration> {
        return this.#inTurn(owner, request, async (stored) =>
            stored !== undefined && !hasExpired(stored.registration, this.#dependencies.sources.now())
                ? stored.registration
                : this.#replace(owner, request, stored, registrationMs, egress),
        );
    }

    /** Another client than the one that was refused or has expired. @throws as `acquire` */
    renew(owner: Owner, request: RegistrationRequest, refused: Client, deadlineMs: number, egress: Egress): Promise<ClientRegistration> {
        return this.#inTurn(owner, request, async (stored) =>
            stored !== undefined && !isSameClient(stored.registration, refused) && !hasExpired(stored.registration, this.#dependencies.sources.now())
                ? stored.registration
                : this.#replace(owner, request, stored, Math.min(registrationMs, deadlineMs), egress),
        );
    }

    /** A client for an integration that does not exist yet; `keep` it, or `unregister` it. @throws RegistrationFailure */
    registerAhead(request: RegistrationRequest): Promise<ClientRegistration> {
        return registerClient(this.#dependencies.egress, request, registrationMs);
    }

    /** In the transaction that creates the integration. */
    async keep(db: Db, owner: Owner, registration: ClientRegistration): Promise<boolean> {
        const { vault, sources } = this.#dependencies;
        const id = newRowId(sources);
        const at = new Date(sources.now());
        return rows.insert(db, {
            id,
            environment_id: owner.environmentId,
            integration_id: owner.id,
            key_hash: registrationKey({ server: registration.server, redirectUri: registration.redirect_uris[0]! }),
            sealed_registration: vault.sealJson(registration, registrationPlace({ id, environment_id: owner.environmentId })),
            created_at: at,
            updated_at: at,
        });
    }

    /** Those of an integration that is deleted, in the transaction that deletes it. */
    async take(db: Db, integrationId: string): Promise<ClientRegistration[]> {
        return this.#openAll(await rows.take(db, integrationId));
    }

    /** Those of an environment, before it is deleted. */
    async ofEnvironment(publicId: number): Promise<ClientRegistration[]> {
        return this.#openAll(await rows.ofEnvironment(this.#dependencies.db, publicId));
    }

    /** RFC 7592 §2.3, best effort: returns at once, and what a dying process does not get to stays registered. */
    unregister(registrations: readonly ClientRegistration[]): void {
        this.#leaving.push(...registrations.filter((registration) => registration.registration_client_uri !== undefined));
        this.#fill();
    }

    /** Lets what is under way finish; what waits behind it is given up. */
    async drain(): Promise<void> {
        this.#leaving.length = 0;
        while (this.#deletions.size > 0) {
            await Promise.all(this.#deletions);
        }
    }

    async #inTurn<Result>(owner: Owner, request: RegistrationRequest, work: (stored: Stored | undefined) => Promise<Result>): Promise<Result> {
        const key = registrationKey(request);
        const turn = `${owner.id} ${key}`;
        const before = this.#turns.get(turn) ?? Promise.resolve();
        const own = before.catch(() => {}).then(async () => work(await this.#find(owner, key)));
        this.#turns.set(turn, own);
        try {
            return await own;
        } finally {
            if (this.#turns.get(turn) === own) {
                this.#turns.delete(turn);
            }
        }
    }

    async #replace(
        owner: Owner,
        request: RegistrationRequest,
        stored: Stored | undefined,
        deadlineMs: number,
        egress: Egress,
    ): Promise<ClientRegistration> {
        const { sources } = this.#dependencies;
        const until = sources.now() + deadlineMs;
        const reread = stored && (await rereadRegistration(egress, stored.registration, request, deadlineMs / 2));
        const fresh = reread ?? (await registerClient(egress, request, Math.max(1, until - sources.now())));
        const kept = await this.#write(owner, request, fresh, stored);
        if (kept !== fresh && kept.client_id !== fresh.client_id) {
            this.unregister([fresh]);
        }
        if (stored !== undefined && stored.registration.client_id !== kept.client_id) {
            this.unregister([stored.registration]);
        }
        return kept;
    }

    /** @returns what is stored now: this registration, or that of another process which was faster. */
    async #write(owner: Owner, request: RegistrationRequest, fresh: ClientRegistration, stored: Stored | undefined): Promise<ClientRegistration> {
        const { db, vault, sources } = this.#dependencies;
        const isWritten = await db.transaction().execute(async (transaction) => {
            // What is registered for a deleted integration would never be looked for again.
            if ((await integrations.hold(transaction, owner.id)) === undefined) {
                return undefined;
            }
            return stored === undefined
                ? this.keep(transaction, owner, fresh)
                : rows.replace(transaction, stored.row, vault.sealJson(fresh, registrationPlace(stored.row)), new Date(sources.now()));
        });
        if (isWritten === true) {
            return fresh;
        }
        const other = isWritten === undefined ? undefined : await this.#find(owner, registrationKey(request));
        if (other === undefined) {
            this.unregister([fresh]);
            throw new ConnectFailure('unknown_provider_config', 'The integration was deleted meanwhile.');
        }
        return other.registration;
    }

    async #find(owner: Owner, key: string): Promise<Stored | undefined> {
        const row = await rows.find(this.#dependencies.db, owner.id, key);
        return row && { row, registration: await this.#open(row) };
    }

    async #open(row: ClientRegistrationRow): Promise<ClientRegistration> {
        return JSON.parse(await this.#dependencies.vault.openFresh(row.sealed_registration, registrationPlace(row))) as ClientRegistration;
    }

    /** Those that can be opened: a lost key must not keep anything from being deleted. */
    async #openAll(found: readonly ClientRegistrationRow[]): Promise<ClientRegistration[]> {
        const opened = await Promise.all(found.map((row) => this.#open(row).catch(() => undefined)));
        return opened.filter((registration) => registration !== undefined);
    }

    #fill(): void {
        while (this.#deletions.size < deletionsAtOnce && this.#leaving.length > 0) {
            const task = this.#delete(this.#leaving.shift()!).finally(() => {
                this.#deletions.delete(task);
                this.#fill();
            });
            this.#deletions.add(task);
        }
    }

    async #delete(registration: ClientRegistration): Promise<void> {
        const { egress, logger } = this.#dependencies;
        const host = new URL(registration.registration_client_uri!).host;
        try {
            const status = await deleteRegistration(egress, registration, deletionMs);
            logger.info({ host, status: status ?? null }, 'the registration of an OAuth client was deleted at its server, or the attempt was made');
        } catch (error) {
            logger.error({ err: error, host }, 'the registration of an OAuth client could not be deleted');
        }
    }
}

const registrationPlace = (row: Pick<ClientRegistrationRow, 'id' | 'environment_id'>): SealedPlace => ({
    environmentId: row.environment_id,
    table: 'client_registrations',
    column: 'sealed_registration',
    rowId: row.id,
});
