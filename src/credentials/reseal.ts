/** Seals every stored secret anew under the current data key (E2). Online: each value is swapped only if nobody changed it meanwhile. */
import type { Kysely } from 'kysely';
import { beforeAllRows, replaceSealed, sealedColumns, sealedUnderOlderKeys } from '../store/sealed-columns.ts';
import type { Schema } from '../store/schema.ts';
import type { OnRotationStep } from './key-ring.ts';
import { VaultError, type Vault } from './vault.ts';

const batch = 200;

/** Resumable: what is done is recognised by the key its value names. @returns how many values were sealed anew. */
export async function reseal(db: Kysely<Schema>, vault: Vault, onProgress: (text: string) => void, onStep?: OnRotationStep): Promise<number> {
    let total = 0;
    for (const column of sealedColumns) {
        let count = 0;
        let after = beforeAllRows;
        for (;;) {
            const rows = await sealedUnderOlderKeys(db, column, vault.currentKeyId, after, batch);
            for (const row of rows) {
                after = row.id;
                const place = { environmentId: row.environment_id, table: column.table, column: column.column, rowId: row.id };
                try {
                    const opened = vault.open(row.sealed, place);
                    await onStep?.('value-opened');
                    count += (await replaceSealed(db, column, row, vault.seal(opened, place))) ? 1 : 0;
                } catch (error) {
                    if (!(error instanceof VaultError)) {
                        throw error;
                    }
                    onProgress(`${column.table}.${column.column} of row ${row.id} cannot be opened (${error.code}) and was left as it is`);
                }
            }
            if (rows.length < batch) {
                break;
            }
            onProgress(`${column.table}.${column.column}: ${count} sealed anew`);
        }
        total += count;
    }
    return total;
}
