/** Whether a database holds connections that people depend on. Asked before anything is migrated, so tables may be missing. */
import { sql } from 'kysely';
import type { Db } from './database.ts';

export async function hasProductionConnections(db: Db): Promise<boolean> {
    const tables = await sql<{
        found: boolean;
    }>`select to_regclass('connections') is not null and to_regclass('environments') is not null as found`.execute(db);
    if (tables.rows[0]?.found !== true) return false;
    const first = await db
        .selectFrom('connections as c')
        .innerJoin('environments as e', 'e.id', 'c.environment_id')
        .select('c.id')
        .where('e.is_production', '=', true)
        .where('c.deleted_at', 'is', null)
        .limit(1)
        .executeTakeFirst();
    return first !== undefined;
}
