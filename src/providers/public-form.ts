/** A provider as `GET /providers` shows it (catalogue contract 12). */
import type { FieldMap, ProviderEntry, ProviderField } from './provider.ts';

export type PublicField = ProviderField & { readonly title: string; readonly description: string };

export type PublicProvider = ProviderEntry & {
    readonly name: string;
    readonly docs: string;
    readonly logo_url: string;
};

/** The members of an entry that are forms. */
export const fieldMaps = ['connection_config', 'credentials', 'integration_config', 'assertion_option'] as const;

/** Which code obtains the tokens is nobody's business; hooks are named, since clients of the reference read those. `logoBaseUrl` is the address of the folder of logos, e.g. `https://auth.example.com/images/template-logos`. */
export function publicProvider(provider: { readonly name: string; readonly entry: ProviderEntry }, logoBaseUrl: string): PublicProvider {
    const fields: Partial<Record<(typeof fieldMaps)[number], Record<string, PublicField>>> = {};
    for (const map of fieldMaps) {
        const declared: FieldMap | undefined = provider.entry[map];
        if (!declared) continue;
        fields[map] = Object.fromEntries(Object.entries(declared).map(([name, field]) => [name, { title: '', description: '', ...field }]));
    }
    const { token_exchange_script: _, ...shown } = provider.entry;
    return {
        ...shown,
        ...fields,
        name: provider.name,
        docs: provider.entry.docs ?? '',
        logo_url: `${logoBaseUrl.replace(/\/+$/, '')}/${provider.name}.svg`,
    };
}
