/** Connection configuration that comes with a token (auth-modes §4.2, R18), at connect and at every renewal under the same checks (N3). */
import { isDeepStrictEqual } from 'node:util';
import { checkDerivedConfig } from '../providers/fields.ts';
import type { Provider } from '../providers/provider.ts';

/** What the entry keeps of a token answer. */
export function derivedFromAnswer(provider: Provider, raw: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const { token_response_metadata: paths = [], refresh_token_response_metadata: more = [] } = provider.entry;
    return checkDerivedConfig(provider, pickPaths(raw, [...paths, ...more]), 'token_response').values;
}

/** What an exception keeps: names of its own as it says, those that the entry lists under the entry's rules. */
export function checkedConfig(provider: Provider, config: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const { issues } = checkDerivedConfig(provider, config);
    const refused = new Set(issues.map(({ path }) => path[0]));
    return Object.fromEntries(Object.entries(config).filter(([name]) => !refused.has(name)));
}

/** `undefined`: nothing differs from what is stored. */
export function newsAmong(config: Readonly<Record<string, unknown>>, stored: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
    const news = Object.entries(config).filter(([name, value]) => !isDeepStrictEqual(value, stored[name]));
    return news.length === 0 ? undefined : Object.fromEntries(news);
}

/** Values at dotted paths, stored under the literal dotted name. */
function pickPaths(source: Readonly<Record<string, unknown>>, paths: readonly string[]): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const path of paths) {
        let value: unknown = source;
        for (const name of path.split('.')) {
            value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
        }
        if (typeof value === 'string' || typeof value === 'boolean') {
            found[path] = value;
        }
    }
    return found;
}
