/**
 * Where the pages that were served of a list ended, so that a caller who asks for page 0, 1, 2, … goes on behind what it has
 * seen: by row count alone, a row that appears or goes meanwhile shifts all that follow, and one is served twice or never.
 *
 * It remembers for one process, for a while, and not everything. What it has forgotten, or another replica served, is found
 * by counting rows, as ever. Callers who need the promise everywhere use cursors.
 */
import { createHash } from 'node:crypto';
import type { Sources } from '../sources.ts';
import type { Place } from '../store/connection-listing.ts';

const rememberedMs = 5 * 60_000;
/** Of all walks together; some 200 bytes each. */
const mostPages = 5_000;

export class PageMemory {
    readonly #sources: Pick<Sources, 'now'>;
    readonly #most: number;
    /** Last served first to stay: a page that is served again moves to the end. */
    readonly #ends = new Map<string, { place: Place; until: number }>();

    constructor(sources: Pick<Sources, 'now'>, most = mostPages) {
        this.#sources = sources;
        this.#most = most;
    }

    /** Names a walk by whatever its pages have in common: who walks, the filters, the size of a page. */
    walk(...parts: readonly unknown[]): string {
        return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
    }

    endOf(walk: string, page: number): Place | undefined {
        const end = this.#ends.get(`${walk} ${page}`);
        return end !== undefined && this.#sources.now() < end.until ? end.place : undefined;
    }

    /** @param place `undefined`: the page was empty, and so was all before it */
    served(walk: string, page: number, place: Place | undefined): void {
        const name = `${walk} ${page}`;
        this.#ends.delete(name);
        if (place !== undefined) {
            this.#ends.set(name, { place, until: this.#sources.now() + rememberedMs });
        }
        this.#forget();
    }

    /** The oldest are in front. */
    #forget(): void {
        const now = this.#sources.now();
        for (const [name, { until }] of this.#ends) {
            if (until > now && this.#ends.size <= this.#most) {
                return;
            }
            this.#ends.delete(name);
        }
    }
}
