/** What arrived at the twins, newest first, without anything secret. */

export interface Visit {
    readonly at: number;
    readonly slug: string | undefined;
    readonly kind: string | undefined;
    readonly method: string;
    /** Host and path; query values and whatever looks like a token are left out. */
    readonly address: string;
    readonly status: number;
    readonly outcome: 'accepted' | 'refused' | 'fault';
    readonly note: string;
}

const kept = 500;

export class Activity {
    readonly #visits: Visit[] = [];

    add(visit: Visit): void {
        this.#visits.unshift(visit);
        this.#visits.length = Math.min(this.#visits.length, kept);
    }

    list(slug?: string): readonly Visit[] {
        return slug === undefined ? this.#visits : this.#visits.filter((visit) => visit.slug === slug);
    }

    clear(): void {
        this.#visits.length = 0;
    }
}

/** Long path segments and those with digits and letters mixed at length are keys more often than not. */
export function maskedAddress(url: URL): string {
    const path = url.pathname
        .split('/')
        .map((segment) => (segment.length > 24 || /^(?:bot|access_|refresh_|code_)/.test(segment) ? '•••' : segment))
        .join('/');
    const names = [...new Set(url.searchParams.keys())];
    return `${url.host}${path}${names.length === 0 ? '' : `?${names.map((name) => `${name}=…`).join('&')}`}`;
}
