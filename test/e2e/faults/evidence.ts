/** What can be held against a deployment, whatever was done to it: read from its rows and from what its peers have seen. */
import { openVault } from '../../../src/credentials/key-ring.ts';
import { systemSources } from '../../../src/sources.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { sealedColumns } from '../../../src/store/sealed-columns.ts';
import type { Reachable } from '../valetkey.ts';
import type { Deployment } from './deployment.ts';

export interface Told {
    operation: string;
    success: boolean;
    error?: { type: string };
}

/** The events that were written, in order. */
export async function told(deployment: Deployment): Promise<Told[]> {
    const rows = await deployment.rows<{ body: string }>('select body from webhook_events order by created_at, id');
    return rows.map(({ body }) => JSON.parse(body) as Told);
}

const eventId = /^msg_[0-9A-HJKMNP-TV-Z]{26}$/;
/** Of a repeat, as of the first. The time of the attempt, and what is signed with it, are its own. */
const constantHeaders = [
    'webhook-id',
    'x-valetkey-event-id',
    'x-valetkey-sequence',
    'x-valetkey-created-at',
    'x-nango-hmac-sha256',
    'x-nango-signature',
];

/** Every event arrives, whole, under its one id and number, and nothing else does (W1, W3, W12, W19). Waits for the last one. */
export async function eventLosses(deployment: Deployment): Promise<string[]> {
    await deployment.until('every event is delivered', async () => {
        const open = await deployment.rows(`select 1 from webhook_deliveries where state <> 'delivered'`);
        return open.length === 0;
    });
    const events = await deployment.rows<{ id: string; body: string; connection_row_id: string | null; sequence: string | null }>(
        'select id, body, connection_row_id, sequence::text from webhook_events order by webhook_events.sequence',
    );
    const received = Map.groupBy(deployment.receiver.deliveries, ({ headers }) => String(headers['webhook-id']));
    const losses: string[] = [];
    for (const { id, body, sequence } of events) {
        const copies = received.get(id) ?? [];
        const accepted = copies.filter(({ status }) => status === 200).length;
        const ofFirst = (name: string): unknown => copies[0]?.headers[name];
        if (!eventId.test(id)) losses.push(`${id} is no event id`);
        if (accepted === 0) losses.push(`the receiver never took ${id}: ${body}`);
        if (copies.some((copy) => copy.body.toString() !== body)) losses.push(`${id} arrived with other bytes than were stored`);
        if ((ofFirst('x-valetkey-sequence') ?? null) !== sequence) losses.push(`${id} arrived with number ${String(ofFirst('x-valetkey-sequence'))}`);
        for (const name of constantHeaders) {
            if (copies.some(({ headers }) => headers[name] !== ofFirst(name))) losses.push(`${id} was repeated with another ${name}`);
        }
    }
    const strangers = [...received.keys()].filter((id) => !events.some((event) => event.id === id));
    if (strangers.length > 0) losses.push(`the receiver got events that nobody wrote: ${strangers.join(', ')}`);
    const numbers = Map.groupBy(
        events.filter(({ connection_row_id: of }) => of !== null),
        ({ connection_row_id: of }) => of,
    );
    for (const [of, numbered] of numbers) {
        const found = numbered.map(({ sequence }) => Number(sequence));
        if (found.some((number, index) => number !== index + 1)) losses.push(`the events of ${of} are numbered ${found.join(', ')}`);
    }
    return losses;
}

/** What became of refresh tokens at the server that forgets a token when it redeems it, and ends the grant of one presented again. */
export function redemptions({ server }: Deployment): { redeemed: number; presentedAgain: number } {
    const spent = new Set<string>();
    let presentedAgain = 0;
    for (const { grantType, params, status } of server.tokenRequests) {
        const token = params['refresh_token'];
        if (grantType === 'refresh_token' && token !== undefined) {
            presentedAgain += spent.has(token) ? 1 : 0;
            if (status === 200) spent.add(token);
        }
    }
    return { redeemed: spent.size, presentedAgain };
}

/** Answers of the token server that nobody wrote down. What was written down is in the journal, or was applied to its connection. */
export async function unjournalled(deployment: Deployment): Promise<number> {
    const [written] = await deployment.rows<{ count: number }>(`
        select (select count(*) from credential_journal)::int + (select sum(credentials_version - 1) from connections)::int as count`);
    return redemptions(deployment).redeemed - written!.count;
}

/** Work that nobody goes on with: an intent without an outcome, an answer that was not applied, a callback that was forgotten. */
export async function unfinishedWork(deployment: Deployment): Promise<string[]> {
    const [left] = await deployment.rows<Record<string, number>>(`
        select (select count(*)::int from connections where refresh_intent is not null) as "renewals without an outcome",
               (select count(*)::int from credential_journal) as "answers that were not applied",
               (select count(*)::int from oauth_flows where consumed_at is not null and outcome is null) as "callbacks without an outcome",
               (select count(*)::int from oauth_flows where consumed_at is not null and sealed_secrets is not null) as "used flows with secrets",
               (select count(*)::int from post_connection_hooks) as "hooks"`);
    return Object.entries(left!).flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`]));
}

/** Every sealed value names a data key that there is, and opens with it in its place (E1, E2). @param encryptionKey the operator's */
export async function sealedLosses(deployment: Deployment, encryptionKey = deployment.encryptionKey): Promise<string[]> {
    const ring = encryptionKey.split(',').map((part) => ({ name: part, key: Buffer.from(part.slice(part.indexOf(':') + 1), 'base64') }));
    const database = await openDatabase({ kind: 'postgres', url: deployment.databaseUrl, poolSize: 1 });
    try {
        const vault = await openVault(database.db, ring, systemSources);
        const losses: string[] = [];
        let opened = 0;
        for (const { table, column } of sealedColumns) {
            const values = await deployment.rows<{ id: string; environment_id: string; sealed: string }>(
                `select id, environment_id, ${column} as sealed from ${table} where ${column} is not null`,
            );
            for (const { id, environment_id, sealed } of values) {
                try {
                    vault.open(sealed, { environmentId: environment_id, table, column, rowId: id });
                    opened += 1;
                } catch (error) {
                    losses.push(`${table}.${column} of ${id} does not open: ${String(error)}`);
                }
            }
        }
        if (opened < 3) losses.push(`only ${opened} sealed values were found: client secret, signing key and credentials are missing`);
        const current = await deployment.rows('select 1 from data_keys where is_current');
        if (current.length !== 2) losses.push(`${current.length} data keys are current, instead of one for each of two purposes`);
        return losses;
    } finally {
        await database.close();
    }
}

/** The grant is alive: forced renewals bring two more generations of tokens. */
export async function grantLosses(deployment: Deployment, valetkey: Reachable): Promise<string[]> {
    const connections = await deployment.rows<{ connection_id: string }>('select connection_id from connections where deleted_at is null');
    if (connections.length !== 1) {
        return [`there are ${connections.length} connections`];
    }
    const path = `/connections/${connections[0]!.connection_id}?provider_config_key=oidc&refresh_token=true`;
    const tokens = new Set<string>();
    let refusal: string | undefined;
    const present = async (query: string): Promise<void> => {
        const { status, body } = await valetkey.call<{ credentials?: { access_token: string; refresh_token: string } }>('GET', path + query);
        if (status !== 200 || body.credentials === undefined) {
            refusal = `the grant is dead: ${status} ${JSON.stringify(body)}`;
        } else {
            tokens.add(body.credentials.access_token).add(body.credentials.refresh_token);
        }
    };
    await present('');
    // Two are enough, as a rule. While a clock that was set back catches up, one takes what there is for obtained since (R10, R11).
    await deployment.until('forced renewals bring two generations', async () => {
        await present('&force_refresh=true');
        return refusal !== undefined || tokens.size === 6;
    });
    return refusal === undefined ? [] : [refusal];
}
