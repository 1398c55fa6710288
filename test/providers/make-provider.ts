import { compileProvider } from '../../src/providers/provider.ts';
import type { Provider, ProviderEntry } from '../../src/providers/provider.ts';

/** A provider named `acme`, built-in unless told otherwise, in mode OAUTH2 with literal URLs unless told otherwise. */
export function makeProvider(entry: Partial<ProviderEntry> = {}, options: { isBuiltin?: boolean; plainHttpHost?: string } = {}): Provider {
    const complete: ProviderEntry = {
        display_name: 'Acme',
        auth_mode: 'OAUTH2',
        authorization_url: 'https://acme.example/authorize',
        token_url: 'https://acme.example/token',
        ...entry,
    };
    return compileProvider('acme', complete, {
        isBuiltin: options.isBuiltin ?? true,
        isPlainHttpAllowed: (hostname) => hostname === options.plainHttpHost,
    });
}
