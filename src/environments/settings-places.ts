/** Where the secrets among an environment's settings live, for the vault. */
import type { SealedPlace } from '../credentials/vault.ts';

/** Of the row of `environment_settings`. */
type SettingsKey = { id: string; environment_id: string };

export const hmacKeyPlace = (row: SettingsKey): SealedPlace => ({
    environmentId: row.environment_id,
    table: 'environment_settings',
    column: 'sealed_hmac_key',
    rowId: row.id,
});

/** JSON: `[{"name", "value"}]`. */
export const otlpHeadersPlace = (row: SettingsKey): SealedPlace => ({ ...hmacKeyPlace(row), column: 'sealed_otlp_headers' });
