/** The settings of an environment as a document (S7): exported with references in place of secrets, and compared with what is stored. */
import type { Db } from '../store/database.ts';
import { json } from '../store/database.ts';
import * as environmentSettings from '../store/environment-settings.ts';
import * as variableRows from '../store/environment-variables.ts';
import type { ConnectUiSettings, EnvironmentRow } from '../store/schema.ts';
import * as webhookSettings from '../store/webhook-settings.ts';
import type { ConfigPlan, SecretReference } from './config-plan.ts';
import { connectUiSettings } from './connect-ui-settings.ts';
import {
    changeEnvironment,
    laterThan,
    openHmacKey,
    openOtlpHeaders,
    type EnvironmentChange,
    type OtlpHeader,
    type SettingsContext,
} from './settings.ts';
import { mostVariables, openVariables, sealVariables, type Variable } from './variables.ts';
import { exportEndpoints, planEndpoints, type DeclaredEndpoint } from './declared-endpoints.ts';
import { changeWebhookSettings, lockWebhookSettings, webhookSwitches, webhookUrls, type WebhookSettingsChange } from './webhook-settings.ts';

interface Referenced {
    name: string;
    value: SecretReference;
}

export type DeclaredEnvironment = Pick<
    EnvironmentChange,
    | 'callback_url'
    | 'accepts_forwarded_callbacks'
    | 'accept_unverified_credentials'
    | 'hmac_enabled'
    | 'slack_notifications'
    | 'otlp_endpoint'
    | 'allowed_return_urls'
> & { hmac_key?: SecretReference | null | undefined; otlp_headers?: readonly Referenced[] | undefined };

const reference = (...path: string[]): SecretReference => ({ secret: path.join('.') });

export async function exportEnvironment(db: Db, { vault }: Pick<SettingsContext, 'vault'>, environment: EnvironmentRow) {
    const row = await environmentSettings.read(db, environment.id);
    return {
        environment: {
            callback_url: environment.callback_url,
            accepts_forwarded_callbacks: environment.accepts_forwarded_callbacks,
            accept_unverified_credentials: environment.accept_unverified_credentials,
            hmac_enabled: row.hmac_enabled,
            hmac_key: row.sealed_hmac_key === null ? null : reference('environment', 'hmac_key'),
            slack_notifications: row.slack_notifications,
            otlp_endpoint: row.otlp_endpoint,
            otlp_headers: (await openOtlpHeaders(vault, row)).map(({ name }) => ({ name, value: reference('environment', 'otlp_headers', name) })),
            allowed_return_urls: row.allowed_return_urls,
        },
        connect_ui: connectUiSettings(row),
    };
}

export async function exportWebhooks(db: Db, environmentId: string) {
    const row = await webhookSettings.read(db, environmentId);
    const pick = <Name extends (typeof webhookUrls)[number] | (typeof webhookSwitches)[number], Value>(names: readonly Name[], absent: Value) =>
        Object.fromEntries(names.map((name) => [name, row?.[name] ?? absent])) as Record<Name, Value>;
    return { ...pick(webhookUrls, null as string | null), ...pick(webhookSwitches, false), endpoints: await exportEndpoints(db, environmentId) };
}

export async function exportVariables(db: Db, environmentId: string): Promise<Referenced[]> {
    return (await variableRows.list(db, environmentId)).map(({ name }) => ({ name, value: reference('variables', name) }));
}

/** Call these in the transaction that locked the environment. */
export async function planEnvironment(
    db: Db,
    context: SettingsContext,
    plan: ConfigPlan,
    environment: EnvironmentRow,
    declared: DeclaredEnvironment,
): Promise<void> {
    const row = await environmentSettings.read(db, environment.id);
    const { hmac_key: hmacKey, otlp_headers: headers, ...plain } = declared;
    const change: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(plain)) {
        const wanted = value === '' ? null : value;
        if (wanted !== undefined && plan.differs(['environment', name], { ...row, ...environment }[name as keyof typeof plain], wanted)) {
            change[name] = wanted;
        }
    }
    if (hmacKey !== undefined) {
        const path = ['environment', 'hmac_key'];
        const stored = await openHmacKey(context.vault, row);
        const wanted = hmacKey === null ? null : plan.valueOf(path, hmacKey, stored, 1000);
        if (wanted !== undefined && plan.secretDiffers(path, stored, wanted)) {
            change['hmac_key'] = wanted;
        }
    }
    if (headers !== undefined) {
        const wanted = planHeaders(plan, await openOtlpHeaders(context.vault, row), headers);
        if (wanted !== undefined) {
            change['otlp_headers'] = wanted;
        }
    }
    if (Object.keys(change).length > 0) {
        plan.step(() => changeEnvironment(db, context, environment, change));
    }
}

/** A list is a value: the declared one takes the place of the stored one. @returns it, unless that is the same. */
function planHeaders(plan: ConfigPlan, stored: readonly OtlpHeader[], declared: readonly Referenced[]): OtlpHeader[] | undefined {
    const path = ['environment', 'otlp_headers'];
    const wanted = declared.map(({ name, value }, index) => ({
        name,
        value: plan.valueOf([...path, String(index), 'value'], value, stored.find((header) => header.name === name)?.value, 4000) ?? '',
    }));
    const names = (headers: readonly OtlpHeader[]): string[] => headers.map(({ name }) => name);
    if (plan.differs(path, names(stored), names(wanted))) {
        return wanted;
    }
    const changed = wanted.filter(({ value }, index) => plan.secretDiffers([...path, wanted[index]!.name], stored[index]!.value, value));
    return changed.length > 0 ? wanted : undefined;
}

export async function planWebhooks(
    db: Db,
    context: SettingsContext,
    plan: ConfigPlan,
    environment: EnvironmentRow,
    { endpoints, ...declared }: WebhookSettingsChange & { endpoints?: readonly DeclaredEndpoint[] | undefined },
): Promise<void> {
    const stored = await webhookSettings.read(db, environment.id);
    const current = { ...stored };
    const change: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(declared)) {
        const wanted = value === '' ? null : value;
        if (wanted !== undefined && plan.differs(['webhooks', name], current[name as keyof typeof current] ?? null, wanted)) {
            change[name] = wanted;
        }
    }
    if (Object.keys(change).length > 0) {
        plan.step(async () => changeWebhookSettings(db, context.sources, await lockWebhookSettings(db, context.sources, environment.id), change));
    }
    if (endpoints !== undefined) {
        await planEndpoints(db, context, plan, environment.id, endpoints);
    }
}

export async function planConnectUi(
    db: Db,
    { sources }: SettingsContext,
    plan: ConfigPlan,
    environment: EnvironmentRow,
    declared: ConnectUiSettings,
): Promise<void> {
    if (plan.differs(['connect_ui'], connectUiSettings(await environmentSettings.read(db, environment.id)), declared)) {
        plan.step(async () => {
            // Read again: the environment's own settings may have been written a moment ago.
            const { updated_at: before } = await environmentSettings.read(db, environment.id);
            await environmentSettings.update(db, environment.id, { connect_ui: json(declared), updated_at: laterThan(before, sources) });
        });
    }
}

export async function planVariables(
    db: Db,
    context: SettingsContext,
    plan: ConfigPlan,
    environment: EnvironmentRow,
    declared: readonly Referenced[],
): Promise<void> {
    const stored = new Map((await openVariables(context.vault, await variableRows.list(db, environment.id))).map(({ name, value }) => [name, value]));
    const changed: Variable[] = [];
    declared.forEach(({ name, value }, index) => {
        const wanted = plan.valueOf(['variables', String(index), 'value'], value, stored.get(name), 4000);
        if (wanted !== undefined && plan.secretDiffers(['variables', name], stored.get(name) ?? null, wanted)) {
            changed.push({ name, value: wanted });
        }
    });
    if (new Set([...stored.keys(), ...declared.map(({ name }) => name)]).size > mostVariables) {
        plan.refuse(['variables'], `Together with those that exist there would be more than ${mostVariables}`);
    }
    if (changed.length > 0) {
        plan.step(() => variableRows.put(db, environment.id, sealVariables(context, environment.id, changed)));
    }
}
