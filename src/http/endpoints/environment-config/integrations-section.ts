/** Integrations in a declared configuration (S7): the provider, the client at it, and what is done with webhooks. */
import { z } from 'zod';
import { clientSecretPlace } from '../../../credentials/integration-secrets.ts';
import type { ConfigPlan } from '../../../environments/config-plan.ts';
import type { Provider } from '../../../providers/provider.ts';
import { newRowId } from '../../../sources.ts';
import type { Db } from '../../../store/database.ts';
import * as integrations from '../../../store/integrations.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import { ApiError } from '../../errors.ts';
import { DisplayName, IntegrationKey, ProviderName } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { SecretReference } from './secret-reference.ts';

const Integration = z.strictObject({
    provider: ProviderName,
    display_name: z
        .union([z.null(), DisplayName])
        .optional()
        .meta({ examples: ['GitHub'] }),
    forward_webhooks: z.boolean().optional(),
    client_id: z.string().min(1).max(255).optional().describe('Of your OAuth app; for providers that need one.'),
    client_secret: SecretReference.optional(),
    scopes: z
        .union([z.null(), z.string().regex(/^([0-9a-zA-Z:/_.*-]+(,[0-9a-zA-Z:/_.*-]+)*)?$/)])
        .optional()
        .describe('Comma separated. Absent for a new integration: the provider’s defaults.'),
    allowed_hosts: z.union([z.null(), z.array(z.string().regex(/^\.?[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*(:\d+)?$/)).max(50)]).optional(),
});
type Declared = z.output<typeof Integration>;

export const Integrations = z.record(IntegrationKey, Integration);

/** Other modes keep something else in the client's columns, or nothing. */
const modesWithClient: ReadonlySet<string | undefined> = new Set(['OAUTH1', 'OAUTH2', 'TBA', 'MCP_OAUTH2']);
/** Whose integrations cannot be made without credentials; those of APP and CUSTOM are not part of a document. */
const modesThatNeedClient: ReadonlySet<string> = new Set(['OAUTH1', 'OAUTH2']);
const modesOfTheirOwn: ReadonlySet<string> = new Set(['APP', 'CUSTOM']);

const plainFields = ['display_name', 'forward_webhooks', 'allowed_hosts'] as const;
const clientFields = ['client_id', 'client_secret', 'scopes'] as const;
const longestSecret = 32_768;

export async function exportIntegrations(
    { catalogue }: Pick<Services, 'catalogue'>,
    db: Db,
    environmentId: string,
): Promise<z.output<typeof Integrations>> {
    const rows = await integrations.list(db, environmentId);
    return Object.fromEntries(
        rows.map((row) => [
            row.unique_key,
            {
                provider: row.provider,
                display_name: row.display_name,
                forward_webhooks: row.forward_webhooks,
                allowed_hosts: row.allowed_hosts,
                ...(modesWithClient.has(catalogue.get(row.provider)?.authMode) ? exportClient(row) : {}),
            },
        ]),
    );
}

const exportClient = (row: IntegrationRow): Pick<Declared, 'client_id' | 'client_secret' | 'scopes'> => ({
    ...(row.oauth_client_id === null ? {} : { client_id: row.oauth_client_id }),
    ...(row.sealed_oauth_client_secret === null ? {} : { client_secret: { secret: `integrations.${row.unique_key}.client_secret` } }),
    scopes: row.oauth_scopes,
});

/** Call it in the transaction that locked the environment. */
export async function planIntegrations(
    services: Services,
    db: Db,
    plan: ConfigPlan,
    environmentId: string,
    declared: Readonly<Record<string, Declared>>,
): Promise<void> {
    const stored = new Map((await integrations.list(db, environmentId)).map((row) => [row.unique_key, row]));
    for (const [key, integration] of Object.entries(declared)) {
        const row = stored.get(key);
        const provider = services.catalogue.get(integration.provider);
        const path = ['integrations', key];
        if (provider === undefined) {
            plan.refuse([...path, 'provider'], 'There is no such provider');
        } else if (row !== undefined && row.provider !== provider.name) {
            plan.refuse([...path, 'provider'], 'This integration exists with another provider');
        } else if (
            !modesWithClient.has(provider.authMode) &&
            clientFields.some((name) => integration[name] !== undefined && integration[name] !== null)
        ) {
            plan.refuse(path, `${provider.displayName} has no OAuth client that could be declared here`);
        } else if (row === undefined) {
            planNew(services, db, plan, provider, { environmentId, key, declared: integration });
        } else {
            await planChange(services, db, plan, row, integration);
        }
    }
}

function planNew(
    { vault, sources }: Services,
    db: Db,
    plan: ConfigPlan,
    provider: Provider,
    { environmentId, key, declared }: { environmentId: string; key: string; declared: Declared },
): void {
    const path = ['integrations', key];
    if (modesOfTheirOwn.has(provider.authMode)) {
        return plan.refuse(
            path,
            `${provider.displayName} needs credentials that are not part of a document: create it with POST /integrations first`,
        );
    }
    const isComplete = declared.client_id !== undefined && declared.client_secret !== undefined;
    if (modesThatNeedClient.has(provider.authMode) && !isComplete) {
        return plan.refuse(path, `${provider.displayName} needs a client_id and a client_secret`);
    }
    const secret = declared.client_secret && plan.valueOf([...path, 'client_secret'], declared.client_secret, null, longestSecret);
    const { client_secret: _reference, ...shown } = declared;
    plan.differs(path, null, shown);
    plan.step(async () => {
        const row = { id: newRowId(sources), environment_id: environmentId };
        const now = new Date(sources.now());
        const inserted = await integrations.insert(db, {
            ...row,
            unique_key: key,
            provider: provider.name,
            display_name: declared.display_name ?? null,
            oauth_client_id: declared.client_id ?? null,
            sealed_oauth_client_secret: secret === undefined ? null : vault.seal(secret, clientSecretPlace(row)),
            oauth_scopes: declared.scopes === undefined ? (provider.entry.default_scopes?.join(',') ?? null) : declared.scopes,
            sealed_custom: null,
            forward_webhooks: declared.forward_webhooks ?? true,
            allowed_hosts: declared.allowed_hosts ?? null,
            created_at: now,
            updated_at: now,
            deleted_at: null,
        });
        if (inserted === undefined) {
            throw ApiError.simple(409, 'conflict', `The integration "${key}" was created by another request meanwhile; nothing was changed.`);
        }
    });
}

async function planChange({ vault, sources }: Services, db: Db, plan: ConfigPlan, row: IntegrationRow, declared: Declared): Promise<void> {
    const path = ['integrations', row.unique_key];
    const change: Partial<Omit<IntegrationRow, 'public_id'>> = {};
    const compare = (name: keyof Declared, column: keyof IntegrationRow): void => {
        if (declared[name] !== undefined && plan.differs([...path, name], row[column], declared[name])) {
            Object.assign(change, { [column]: declared[name] });
        }
    };
    plainFields.forEach((name) => compare(name, name));
    compare('client_id', 'oauth_client_id');
    compare('scopes', 'oauth_scopes');
    if (declared.client_secret !== undefined) {
        const sealed = row.sealed_oauth_client_secret;
        const stored = sealed === null ? null : await vault.openFresh(sealed, clientSecretPlace(row));
        const secret = plan.valueOf([...path, 'client_secret'], declared.client_secret, stored, longestSecret);
        if (secret !== undefined && plan.secretDiffers([...path, 'client_secret'], stored, secret)) {
            change.sealed_oauth_client_secret = vault.seal(secret, clientSecretPlace(row));
        }
    }
    if (Object.keys(change).length > 0) {
        plan.step(() => integrations.update(db, row.id, { ...change, updated_at: new Date(sources.now()) }));
    }
}
