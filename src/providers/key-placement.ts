/** Where a generic API wants its key, as the operator has set it on the integration (`keyPlacement`, `keyName`, `valueTemplate`). */
import type { Provider } from './provider.ts';
import type { ExpressionValues } from './value-template.ts';

export interface KeyPlacement {
    placement: 'header' | 'query';
    name: string;
    value: string;
}

export function keyPlacement(
    { entry }: Provider,
    settings: Readonly<Record<string, string>> = {},
    { credentials }: ExpressionValues,
): KeyPlacement | undefined {
    const setting = (name: string): string => settings[name] || (entry.integration_config?.[name]?.default_value ?? '');
    const name = setting('keyName');
    const key = credentials?.['apiKey'];
    if (name === '' || typeof key !== 'string') return undefined;
    // An operator's text, which no linter has read: the key is all it can mean.
    const value = (setting('valueTemplate') || '${apiKey}').replaceAll('${apiKey}', () => key);
    return { placement: setting('keyPlacement') === 'query' ? 'query' : 'header', name, value };
}
