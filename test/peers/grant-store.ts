/** What the authorization server stores, in memory. The adapter that `oidc-provider` comes with forgets all but 1 000 rows. */
import type { Adapter, AdapterPayload } from 'oidc-provider';

export class GrantStore {
    readonly #rows = new Map<string, AdapterPayload>();

    /** Every token and code of the grant dies with it. */
    revoke(grantId: string): void {
        this.#rows.delete(`Grant:${grantId}`);
        for (const [key, row] of this.#rows) if (row.grantId === grantId) this.#rows.delete(key);
    }

    /** Ids of what is stored of one model. */
    ids(model: string): string[] {
        return [...this.#rows.keys()].filter((key) => key.startsWith(`${model}:`)).map((key) => key.slice(model.length + 1));
    }

    forget(model: string, id: string): void {
        this.#rows.delete(`${model}:${id}`);
    }

    /** The storage of one `oidc-provider` model ("RefreshToken", "Session", …). */
    adapter(model: string): Adapter {
        const rows = this.#rows;
        const key = (id: string) => `${model}:${id}`;
        return {
            upsert: async (id, payload) => {
                rows.set(key(id), payload);
            },
            find: async (id) => rows.get(key(id)),
            findByUid: async (uid) => {
                for (const [stored, row] of rows) if (stored.startsWith(`${model}:`) && row.uid === uid) return row;
                return undefined;
            },
            findByUserCode: async () => undefined,
            consume: async (id) => {
                const row = rows.get(key(id));
                if (row) row.consumed = Math.floor(Date.now() / 1_000);
            },
            destroy: async (id) => {
                rows.delete(key(id));
            },
            revokeByGrantId: async (grantId) => this.revoke(grantId),
        };
    }
}
