/**
 * Pages of an environment's connections, newest first. A page is found in indexes alone: in `connections_listing`, or under
 * filters in `connection_facets`, which are intersected in the list's own order. So it costs what the page costs, however many
 * connections there are, and rows are fetched for the page only.
 *
 * `search` is no facet: it looks at the rows, in the list's order, until the page is full.
 */
import { sql, type RawBuilder } from 'kysely';
import type { Db } from './database.ts';
import type { PostConnectionStatus } from './schema.ts';

export interface ListingFilter {
    environmentId: string;
    connectionId?: string | undefined;
    /** Part of the connection's id, or of its end user's id, name or email. Wildcards are characters. */
    search?: string | undefined;
    endUserId?: string | undefined;
    endUserOrganizationId?: string | undefined;
    /** Any of them. */
    integrationKeys?: readonly string[] | undefined;
    /** All of them. */
    tags?: Readonly<Record<string, string>> | undefined;
}

/** A place in the list, by what it is sorted by. */
export interface Place {
    /** UTC with microseconds, `2026-01-02T03:04:05.678901`: in a `Date` the last three digits would be lost. */
    created: string;
    id: number;
}

/** A page begins behind a place, or behind so many rows. */
export type Start = { after: Place } | { offset: number };

/** jsonb columns are left as Postgres' text, which goes into the answer as it is. */
export interface ListedConnection {
    public_id: number;
    connection_id: string;
    provider: string;
    provider_config_key: string;
    /** As in `Place`. */
    created: string;
    metadata: string | null;
    tags: string;
    end_user: string | null;
    post_connection_status: PostConnectionStatus | null;
    /** JSON text too: the operation that explains the active problem. */
    log_id: string | null;
}

type Sql = RawBuilder<unknown>;

export async function list(db: Db, filter: ListingFilter, limit: number, start: Start): Promise<ListedConnection[]> {
    const integrationIds = filter.integrationKeys && (await idsOf(db, filter.environmentId, filter.integrationKeys));
    if (integrationIds?.length === 0) {
        return [];
    }
    const { rows } = await sql<ListedConnection>`
        with page as (
            select p.created_at, p.public_id from ${placesOf(filter, integrationIds, limit, start)}
            order by p.created_at desc, p.public_id desc limit ${limit} ${'offset' in start ? sql`offset ${start.offset}` : sql``}
        )
        select c.*, i.unique_key as provider_config_key
        from page cross join lateral (
            select public_id, connection_id, provider, integration_id,
                to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') as created,
                metadata::text as metadata, tags::text as tags, end_user::text as end_user, post_connection_status,
                (auth_error -> 'log_id')::text as log_id
            from connections
            where created_at = page.created_at and public_id = page.public_id
                -- said again: a row is shown to its own environment, whatever the facets say
                and environment_id = ${filter.environmentId} and deleted_at is null
            -- one by one, by their places: without statistics, Postgres would begin with the environment
            limit 1
        ) c join integrations i on i.id = c.integration_id
        order by page.created_at desc, page.public_id desc`.execute(db);
    return rows;
}

async function idsOf(db: Db, environmentId: string, keys: readonly string[]): Promise<string[]> {
    const rows = await db
        .selectFrom('integrations')
        .select('id')
        .where('environment_id', '=', environmentId)
        .where(sql<boolean>`unique_key = any(${[...keys]})`)
        .where('deleted_at', 'is', null)
        .execute();
    return rows.map((row) => row.id);
}

/** The places of all that the filter admits, as `p`. */
function placesOf(filter: ListingFilter, integrationIds: readonly string[] | undefined, limit: number, start: Start): Sql {
    const facet = (kind: string, name: string, value: string): Sql => sql`connection_facet(${filter.environmentId}, ${kind}, ${name}, ${value})`;
    const facets = [
        ...Object.entries(filter.tags ?? {}).map(([name, value]) => facet('tag', name, value)),
        ...(filter.endUserId === undefined ? [] : [facet('end user', '', filter.endUserId)]),
        ...(filter.endUserOrganizationId === undefined ? [] : [facet('organization', '', filter.endUserOrganizationId)]),
    ];
    const [one, ...more] = (integrationIds ?? []).map((id) => facet('integration', '', id));
    if (one === undefined || more.length === 0) {
        return sql`(${intersection(filter, one ? [...facets, one] : facets, start)}) p`;
    }
    // Each in the list's order, which a scan over several facets at once has not; and no longer than the page can need, because
    // Postgres, which takes intersections for nearly empty, would otherwise work out all of each.
    const longest = limit + ('offset' in start ? start.offset : 0);
    const each = [one, ...more].map(
        (integration) => sql`(${intersection(filter, [...facets, integration], start)} order by created_at desc, public_id desc limit ${longest})`,
    );
    return sql`(${sql.join(each, sql` union all `)}) p`;
}

/** Places of connections that have all of these facets (migration 0003). Every part begins at the page, so that any can lead. */
function intersection(filter: ListingFilter, facets: readonly Sql[], start: Start): Sql {
    const behind = 'after' in start ? sql`and (created_at, public_id) < (${`${start.after.created}Z`}::timestamptz, ${start.after.id})` : sql``;
    const parts = facets.map((facet) => sql`select created_at, public_id from connection_facets where facet = ${facet} ${behind}`);
    if (parts.length === 0 || filter.connectionId !== undefined || filter.search !== undefined) {
        const { environmentId, connectionId, search } = filter;
        const rows = connectionId === undefined ? sql`environment_id = ${environmentId} and deleted_at is null` : withId(environmentId, connectionId);
        parts.unshift(
            sql`select created_at, public_id from connections where ${rows} ${behind} ${search === undefined ? sql`` : containing(search)}`,
        );
    }
    const [first, ...others] = parts;
    const joins = others.map((part, index) => sql`join (${part}) ${sql.ref(`f${index}`)} using (created_at, public_id)`);
    return sql`select created_at, public_id from (${first}) f ${sql.join(joins, sql` `)}`;
}

/** By `connections_key`, which begins with the integration; each has one such connection at most. */
const withId = (environmentId: string, connectionId: string): Sql => sql`id in (
    select c.id from integrations i cross join lateral (
        select id from connections where integration_id = i.id and connection_id = ${connectionId} and deleted_at is null limit 1
    ) c where i.environment_id = ${environmentId})`;

function containing(search: string): Sql {
    const pattern = `%${search.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
    return sql`and (connection_id ilike ${pattern} or end_user ->> 'display_name' ilike ${pattern} or end_user ->> 'email' ilike ${pattern}
        or tags ->> 'end_user_id' ilike ${pattern} or tags ->> 'end_user_display_name' ilike ${pattern} or tags ->> 'end_user_email' ilike ${pattern})`;
}
