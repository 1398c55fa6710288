/** Variables of an environment (http-api §10.4): kept for whoever reads them through the API. Values are sealed. */
import type { SealedPlace, Vault } from '../credentials/vault.ts';
import { newRowId, type Sources } from '../sources.ts';
import type { EnvironmentVariableRow, NewEnvironmentVariable } from '../store/schema.ts';

export interface Variable {
    name: string;
    value: string;
}

export const mostVariables = 100;

const valuePlace = (row: { id: string; environment_id: string }): SealedPlace => ({
    environmentId: row.environment_id,
    table: 'environment_variables',
    column: 'sealed_value',
    rowId: row.id,
});

/** @throws VaultError */
export const openVariables = (vault: Vault, rows: readonly EnvironmentVariableRow[]): Promise<Variable[]> =>
    Promise.all(rows.map(async (row) => ({ name: row.name, value: await vault.openFresh(row.sealed_value, valuePlace(row)) })));

export const sealVariables = (
    { vault, sources }: { vault: Vault; sources: Sources },
    environmentId: string,
    variables: readonly Variable[],
): NewEnvironmentVariable[] =>
    variables.map(({ name, value }) => {
        const key = { id: newRowId(sources), environment_id: environmentId };
        return { ...key, name, sealed_value: vault.seal(value, valuePlace(key)), created_at: new Date(sources.now()) };
    });
