/** Replaces the data key: a new one is made, and every stored secret sealed with it (E2). Cut off anywhere, it is run again. */
import type { Kysely } from 'kysely';
import type { RingKey } from '../config.ts';
import type { Sources } from '../sources.ts';
import type { Schema } from '../store/schema.ts';
import { openVault, rotateDataKey, type OnRotationStep } from './key-ring.ts';
import { reseal } from './reseal.ts';

export interface Rotation {
    ring: readonly RingKey[];
    sources: Sources;
    onProgress(text: string): void;
    onStep?: OnRotationStep;
}

/** @returns the new key's id, and how many values it seals now. */
export async function rotateKeys(db: Kysely<Schema>, { ring, sources, onProgress, onStep }: Rotation): Promise<{ keyId: string; count: number }> {
    // Refuses a ring that is not this database's before anything is written.
    await openVault(db, ring, sources, onStep);
    await rotateDataKey(db, ring, sources);
    await onStep?.('key-made');
    const vault = await openVault(db, ring, sources, onStep);
    const count = await reseal(db, vault, onProgress, onStep);
    await onStep?.('values-sealed');
    return { keyId: vault.currentKeyId, count };
}
