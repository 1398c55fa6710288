/** Where a connection's credentials and their journalled answers live, for the vault. */
import type { SealedPlace } from './vault.ts';

export const credentialsPlace = (row: { environment_id: string; id: string }): SealedPlace => ({
    environmentId: row.environment_id,
    table: 'connections',
    column: 'sealed_credentials',
    rowId: row.id,
});

export const previousTokenPlace = (row: { environment_id: string; id: string }): SealedPlace => ({
    ...credentialsPlace(row),
    column: 'sealed_previous_refresh_token',
});

export const journalPlace = (environmentId: string, id: string): SealedPlace => ({
    environmentId,
    table: 'credential_journal',
    column: 'sealed_response',
    rowId: id,
});
