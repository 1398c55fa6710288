/**
 * A tab of its own keeps its session over a reload, and while it is away at the provider (§7.22). Not in a frame, where the storage
 * would be the embedding site's visitors' to find.
 */
import type { PageConfig } from './page-config.ts';

const key = 'valetkey-connect';

interface Kept {
    readonly token: string;
    /** Language and theme, which the way back from the provider does not know. */
    readonly search: string;
    /** What the tab is away for. */
    readonly leftFor?: string | undefined;
}

export function keepSession({ isStandalone, search }: PageConfig, token: string, leftFor?: string): void {
    if (isStandalone) attempt(() => sessionStorage.setItem(key, JSON.stringify({ token, search, leftFor } satisfies Kept)));
}

export function keptSession(isStandalone: boolean): Kept | undefined {
    const text = isStandalone ? attempt(() => sessionStorage.getItem(key)) : undefined;
    return text ? (attempt(() => JSON.parse(text) as Kept) ?? undefined) : undefined;
}

export function forgetSession(): void {
    attempt(() => sessionStorage.removeItem(key));
}

/** Storage may be forbidden, and then there is none. */
function attempt<T>(use: () => T): T | undefined {
    try {
        return use();
    } catch {
        return undefined;
    }
}
