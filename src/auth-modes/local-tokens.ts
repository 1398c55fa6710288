/**
 * Tokens that Valetkey signs itself (R8): made when a reader needs one, kept in memory while they are good, never written. What is
 * stored beside the key is the token of the day it was connected.
 */
import { effectiveMargin } from '../credentials/expiry.ts';
import type { Credentials } from '../credentials/credential.ts';
import type { Catalogue } from '../providers/catalogue.ts';
import type { Sources } from '../sources.ts';
import { ConnectFailure, type AuthMode, type SignedHere } from './auth-mode.ts';
import { authModes } from './index.ts';

/** A connection as it is stored. */
export interface StoredConnection {
    id: string;
    provider: string;
    /** Another text after every write of the credentials, and so their version: it is not read from the row otherwise. */
    sealed_credentials: string;
}

interface Kept extends SignedHere {
    sealed: string;
}

const mostKept = 1_000;

/** The types of credentials that hold such tokens, for readers who must not pay for the question. */
export const isSignedHere = ({ type }: Credentials): boolean => type === 'JWT' || type === 'SIGNATURE';

export class LocalTokens {
    readonly #catalogue: Catalogue;
    readonly #sources: Sources;
    /** By row id; the one that was used longest ago comes first. */
    readonly #kept = new Map<string, Kept>();

    constructor({ catalogue, sources }: { catalogue: Catalogue; sources: Sources }) {
        this.#catalogue = catalogue;
        this.#sources = sources;
    }

    /** Whether a provider's connections hold such tokens, so that there is nothing to renew. */
    areOf(provider: string): boolean {
        return this.#modeOf(provider)?.sign !== undefined;
    }

    /**
     * The credentials with a token that is good for a while.
     * @param options.force a new one in any case
     * @throws ConnectFailure when none can be signed any more
     */
    async present(
        row: StoredConnection,
        stored: { credentials: Credentials; connectionConfig: Readonly<Record<string, unknown>> },
        options: { force: boolean },
    ): Promise<Credentials> {
        const kept = this.#kept.get(row.id);
        const isGood = kept?.sealed === row.sealed_credentials && this.#sources.now() < kept.expiresAt - effectiveMargin(kept);
        const signed = isGood && !options.force ? kept : { ...(await this.#sign(row, stored)), sealed: row.sealed_credentials };
        this.#kept.delete(row.id);
        this.#kept.set(row.id, signed);
        const [oldest] = this.#kept.keys();
        if (this.#kept.size > mostKept && oldest !== undefined) {
            this.#kept.delete(oldest);
        }
        return signed.credentials;
    }

    #sign(row: StoredConnection, { credentials, connectionConfig }: Parameters<LocalTokens['present']>[1]): Promise<SignedHere> {
        const provider = this.#catalogue.get(row.provider);
        const sign = this.#modeOf(row.provider)?.sign;
        if (provider === undefined || sign === undefined) {
            throw new ConnectFailure(
                'unknown_provider_template',
                `The provider "${row.provider}" is not in the catalogue, or no longer signs tokens.`,
            );
        }
        return sign({ provider, connectionConfig, sources: this.#sources }, credentials);
    }

    #modeOf(name: string): AuthMode | undefined {
        const provider = this.#catalogue.get(name);
        return provider && authModes.get(provider.authMode);
    }
}
