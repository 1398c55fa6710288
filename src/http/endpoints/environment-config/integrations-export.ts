/** Integrations as a document says them (S7): everything that can be said, so that applying it leaves nothing else behind. */
import { openSetup, type IntegrationSetup } from '../../../environments/integration.ts';
import { effectiveSettings } from '../../../providers/integration-config.ts';
import type { Provider } from '../../../providers/provider.ts';
import type { Db } from '../../../store/database.ts';
import * as integrations from '../../../store/integrations.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import type { Services } from '../../services.ts';
import { fieldsOf, hasUserInfo, isSecretField, isSecretSetting, storedCustom, storedFields, type DeclaredIntegration } from './integration-fields.ts';

type Context = Pick<Services, 'catalogue' | 'vault'>;

export async function exportIntegrations(context: Context, db: Db, environmentId: string): Promise<Record<string, DeclaredIntegration>> {
    const rows = await integrations.list(db, environmentId);
    return Object.fromEntries(await Promise.all(rows.map(async (row) => [row.unique_key, await exported(context, row)] as const)));
}

async function exported({ catalogue, vault }: Context, row: IntegrationRow): Promise<DeclaredIntegration> {
    const provider = catalogue.get(row.provider);
    return {
        provider: row.provider,
        display_name: row.display_name,
        forward_webhooks: row.forward_webhooks,
        allowed_hosts: row.allowed_hosts,
        // Of a provider that left the catalogue, nobody can tell what is secret.
        ...(provider === undefined ? {} : exportedSetup(provider, row.unique_key, await openSetup(vault, row))),
    };
}

function exportedSetup(provider: Provider, key: string, setup: IntegrationSetup): Partial<DeclaredIntegration> {
    const reference = (name: string) => ({ secret: `integrations.${key}.${name}` });
    // In brackets, which no key has: names of others cannot meet those of fields, nor the fields of another key.
    const references = (map: string, names: readonly string[]) => Object.fromEntries(names.map((name) => [name, reference(`${map}[${name}]`)]));
    const fields = storedFields(provider, setup);
    const credentials = fieldsOf(provider).map((name) => [name, isSecretField(name) && fields[name] !== null ? reference(name) : fields[name]]);
    if (provider.entry.integration_config === undefined) {
        return { ...Object.fromEntries(credentials), custom: references('custom', Object.keys(storedCustom(provider, setup))) };
    }
    const settings = effectiveSettings(provider, setup.extras.config ?? {});
    const secret = Object.keys(settings).filter((name) => isSecretSetting(provider, name) || hasUserInfo(settings[name]!));
    return { ...Object.fromEntries(credentials), integration_config: { ...settings, ...references('integration_config', secret) } };
}
