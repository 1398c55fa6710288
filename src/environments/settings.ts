/** What an operator sets of an environment (settings S2), and what a change of it means. */
import type { Vault } from '../credentials/vault.ts';
import type { Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import * as settings from '../store/environment-settings.ts';
import * as environments from '../store/environments.ts';
import type { EnvironmentRow, EnvironmentSettingsRow } from '../store/schema.ts';
import { hmacKeyPlace, otlpHeadersPlace } from './settings-places.ts';

export interface OtlpHeader {
    name: string;
    value: string;
}

/** What is absent stays. An empty text clears, as `null` does. */
export interface EnvironmentChange {
    name?: string | undefined;
    callback_url?: string | null | undefined;
    accepts_forwarded_callbacks?: boolean | undefined;
    accept_unverified_credentials?: boolean | undefined;
    hmac_enabled?: boolean | undefined;
    hmac_key?: string | null | undefined;
    slack_notifications?: boolean | undefined;
    otlp_endpoint?: string | null | undefined;
    otlp_headers?: readonly OtlpHeader[] | null | undefined;
    allowed_return_urls?: readonly string[] | null | undefined;
}

export interface SettingsContext {
    vault: Vault;
    sources: Sources;
    /** Where flows come back to unless the environment says otherwise. */
    defaultCallbackUrl: string;
    /** Whether the operator's configuration fixes a key by this environment's name. */
    hasFixedKey(name: string): boolean;
}

export type SettingsRefusalCode =
    | 'cannot_rename_prod_environment'
    | 'cannot_rename_environment_with_fixed_key'
    | 'cannot_toggle_prod_environment'
    | 'conflict';

/** A well-formed change that is not made. The API answers with the code. */
export class SettingsRefusal extends Error {
    override readonly name = 'SettingsRefusal';
    readonly code: SettingsRefusalCode;

    constructor(code: SettingsRefusalCode, message: string) {
        super(message);
        this.code = code;
    }
}

export interface EnvironmentSettings {
    environment: EnvironmentRow;
    settings: EnvironmentSettingsRow;
}

const mostPreviousUrls = 20;

/**
 * Call it in the transaction that locked `stored`. Flows under way keep the redirect URI they began with (S6).
 * @throws SettingsRefusal
 */
export async function changeEnvironment(
    db: Db,
    context: SettingsContext,
    stored: EnvironmentRow,
    change: EnvironmentChange,
): Promise<EnvironmentSettings> {
    const { vault, sources } = context;
    const current = await settings.read(db, stored.id);
    assertRenamable(context, stored, change.name);
    const environment = await environments
        .update(db, stored.id, {
            ...present({
                name: change.name,
                accepts_forwarded_callbacks: change.accepts_forwarded_callbacks,
                accept_unverified_credentials: change.accept_unverified_credentials,
            }),
            ...(change.callback_url === undefined ? {} : { callback_url: change.callback_url || null }),
            updated_at: laterThan(stored.updated_at, sources),
        })
        .catch((error: unknown) => {
            throw isNameTaken(error) ? new SettingsRefusal('conflict', 'There is an environment with this name already.') : error;
        });
    const ofSettings = {
        ...present({ hmac_enabled: change.hmac_enabled, slack_notifications: change.slack_notifications }),
        ...(change.hmac_key === undefined ? {} : { sealed_hmac_key: change.hmac_key ? vault.seal(change.hmac_key, hmacKeyPlace(current)) : null }),
        ...(change.otlp_endpoint === undefined ? {} : { otlp_endpoint: change.otlp_endpoint || null }),
        ...(change.otlp_headers === undefined
            ? {}
            : { sealed_otlp_headers: change.otlp_headers?.length ? vault.sealJson(change.otlp_headers, otlpHeadersPlace(current)) : null }),
        ...(change.allowed_return_urls === undefined ? {} : { allowed_return_urls: [...(change.allowed_return_urls ?? [])] }),
        ...previousCallbackUrls(context, current, stored.callback_url, environment!.callback_url),
    };
    return {
        environment: environment!,
        settings:
            Object.keys(ofSettings).length === 0
                ? current
                : await settings.update(db, stored.id, { ...ofSettings, updated_at: laterThan(current.updated_at, sources) }),
    };
}

/** Call it in the transaction that locked `stored`. @throws SettingsRefusal */
export async function setProduction(
    db: Db,
    { sources }: Pick<SettingsContext, 'sources'>,
    stored: EnvironmentRow,
    isProduction: boolean,
): Promise<EnvironmentRow> {
    if (stored.name === 'prod' && !isProduction) {
        throw new SettingsRefusal('cannot_toggle_prod_environment', 'The environment "prod" is always a production environment.');
    }
    const changed = await environments.update(db, stored.id, { is_production: isProduction, updated_at: laterThan(stored.updated_at, sources) });
    return changed!;
}

/** Where flows of an environment come back to. */
export const effectiveCallbackUrl = ({ defaultCallbackUrl }: Pick<SettingsContext, 'defaultCallbackUrl'>, callbackUrl: string | null): string =>
    callbackUrl ?? defaultCallbackUrl;

export const openOtlpHeaders = async (vault: Vault, row: EnvironmentSettingsRow): Promise<OtlpHeader[]> =>
    row.sealed_otlp_headers === null ? [] : (JSON.parse(await vault.openFresh(row.sealed_otlp_headers, otlpHeadersPlace(row))) as OtlpHeader[]);

export const openHmacKey = async (vault: Vault, row: EnvironmentSettingsRow): Promise<string | null> =>
    row.sealed_hmac_key === null ? null : vault.openFresh(row.sealed_hmac_key, hmacKeyPlace(row));

/** A version that differs from the one before, even within one millisecond: `If-Match` compares it. */
export const laterThan = (previous: Date, sources: Sources): Date => new Date(Math.max(sources.now(), previous.getTime() + 1));

function assertRenamable({ hasFixedKey }: SettingsContext, stored: EnvironmentRow, name: string | undefined): void {
    if (name === undefined || name === stored.name) {
        return;
    }
    if (stored.name === 'prod') {
        throw new SettingsRefusal('cannot_rename_prod_environment', 'The environment "prod" keeps its name.');
    }
    if (hasFixedKey(stored.name)) {
        // Its key would be gone with the next start, and that start refused: the variable would name no environment.
        throw new SettingsRefusal(
            'cannot_rename_environment_with_fixed_key',
            `VALETKEY_SECRET_KEY_${stored.name.toUpperCase()} fixes a key of this environment by its name. Remove the variable, restart, then rename.`,
        );
    }
}

/** Provider apps may still have the old one registered: worth remembering. */
function previousCallbackUrls(
    context: SettingsContext,
    { previous_callback_urls: known }: EnvironmentSettingsRow,
    before: string | null,
    after: string | null,
): { previous_callback_urls?: string[] } {
    const [old, current] = [effectiveCallbackUrl(context, before), effectiveCallbackUrl(context, after)];
    return old === current
        ? {}
        : { previous_callback_urls: [old, ...known.filter((url) => url !== old && url !== current)].slice(0, mostPreviousUrls) };
}

const isNameTaken = (error: unknown): boolean => error instanceof Error && 'constraint' in error && error.constraint === 'environments_name';

/** Without what is not named. */
const present = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
