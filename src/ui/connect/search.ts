/** Finds integrations by words of their name or id. Pure. */
import type { Integration } from './api-types.ts';

/** Accents and case do not matter to a person who searches. */
const plain = (text: string): string => text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();

/** Every word has to be found; the order stays the server's (§7.30). */
export function searcher(integrations: readonly Integration[]): (query: string) => readonly Integration[] {
    const texts = integrations.map(({ display_name, unique_key }) => plain(`${display_name} ${unique_key}`));
    return (query) => {
        const words = plain(query).split(/\s+/).filter(Boolean);
        return words.length === 0 ? integrations : integrations.filter((_, index) => words.every((word) => texts[index]!.includes(word)));
    };
}
