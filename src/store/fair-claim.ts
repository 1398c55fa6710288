/**
 * Claiming in turns: the group with the fewest items at work comes first, whatever is due of the others. For queues with an index
 * on group and due time, which is walked from group to group: the cost does not depend on how much is due, or not claimable, of any.
 */
import { sql, type Kysely } from 'kysely';
import type { Claim, ClaimedRow, Queue } from './leased-work.ts';
import { prepare } from './prepared.ts';
import type { Schema } from './schema.ts';

/** Of each group, this many times its even share is looked at: the others may have less. */
const morePerGroup = 2;

interface Arguments {
    now: Date;
    owner: string;
    leaseUntil: Date;
    limit: number;
    /** JSON: how many of each group are at work. */
    busyGroups: string;
    /** Who holds this many would not leave enough free even with the first turn. */
    mostOfOne: number;
    perFreeSlot: number | null;
}

const statements = new Map<Queue, ReturnType<typeof statementFor>>();

export async function claimInTurns(db: Kysely<Schema>, queue: Queue, claim: Claim): Promise<ClaimedRow[]> {
    let statement = statements.get(queue);
    if (statement === undefined) {
        statement = statementFor(queue);
        statements.set(queue, statement);
    }
    const { perFreeSlot = null, groupLimit, limit, owner, now, leaseMs, busyGroups } = claim;
    return statement(db, {
        now: new Date(now),
        owner,
        leaseUntil: new Date(now + leaseMs),
        limit,
        busyGroups: JSON.stringify(busyGroups),
        mostOfOne: perFreeSlot === null ? groupLimit : Math.min(groupLimit, Math.floor(perFreeSlot * (limit - 1))),
        perFreeSlot,
    });
}

function statementFor(queue: Queue) {
    const [table, due, group] = [sql.table(queue.table), sql.ref(queue.due), sql.ref(queue.group)];
    const isWork = sql.raw(queue.condition);
    return prepare<Arguments, ClaimedRow>(`claim ${queue.table}`, (given) => {
        // Compared and ordered as pairs: no index but the one by group and due time can serve that, however few rows the planner expects.
        const claimable = sql`from ${table}
            where ${isWork} and (${group}, ${due}) > (open.name, '-infinity') and (${group}, ${due}) <= (open.name, ${given.now})
              and (${sql.ref(queue.until)} is null or ${sql.raw(queue.leaseOver)} < ${given.now})
            order by ${group}, ${due}`;
        const busy = sql`coalesce((${given.busyGroups}::jsonb ->> known.name)::int, 0)`;
        // First, whether anything is due at all. Last, the chosen as an array: the planner expects many, and would read the table to join them.
        return sql`
            with recursive known (name) as (
                (select ${group} from ${table}
                 where ${isWork} and exists (select from ${table} where ${isWork} and ${due} <= ${given.now})
                 order by ${group} limit 1)
                union all
                select (select ${group} from ${table} where ${isWork} and ${group} > known.name order by ${group} limit 1)
                from known where known.name is not null
            ), open as materialized (
                select name, ${busy} as busy from known where name is not null and ${busy} < ${given.mostOfOne}::int
            ), waiting as materialized (
                select open.* from open cross join lateral (select ${claimable} limit 1) as first
            ), each as materialized (
                select ceil(${sql.lit(morePerGroup)}::numeric * ${given.limit}::int / greatest(count(*), 1))::int as most from waiting
            ), locked as materialized (
                select row.id, row.at, open.busy, open.name
                from waiting as open cross join lateral (
                    select id, ${due} as at ${claimable}
                    limit least(${given.limit}::int, ${given.mostOfOne}::int - open.busy, (select most from each))
                    for update skip locked
                ) as row
            ), ranked as (
                select id, at, busy + row_number() over (partition by name order by at) as place from locked
            ), chosen as (
                select id from (select id, place, row_number() over (order by place, at, id) as turn from ranked) as turns
                where turn <= ${given.limit}::int and (place <= ${given.perFreeSlot}::float8 * (${given.limit}::int - turn)) is not false
            )
            update ${table} as work
            set ${sql.ref(queue.owner)} = ${given.owner}, ${sql.ref(queue.until)} = ${given.leaseUntil},
                ${sql.ref(queue.epoch)} = work.${sql.ref(queue.epoch)} + 1
            where work.id = any (array(select id from chosen))
            returning work.id, work.${sql.ref(queue.epoch)} as epoch, work.${group} as "group"`;
    });
}
