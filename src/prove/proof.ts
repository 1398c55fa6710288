/**
 * `valetkey prove`: real processes on one database, a token server that ends a grant when a refresh token comes twice, callers,
 * kills and pauses, all drawn from a seed. Afterwards it is calm, and every connection and every event is accounted for.
 *
 * Lives here: what disturbs, what counts and what judges. Does not live here: anything that renews or delivers; that is what
 * is being proved, and runs as it does in production, only faster (`pace.ts`).
 */
import { createEgress, type Egress } from '../egress/egress.ts';
import { newRandomId, type Sources } from '../sources.ts';
import { userAgent } from '../version.ts';
import { integrationKey, read, readRepeatedly, type CallerSetup, type Reads } from './callers.ts';
import { disturbRepeatedly } from './disturb.ts';
import { startEventReceiver, type EventReceiver } from './event-receiver.ts';
import { countRedemptions, type Redemptions } from './ledger.ts';
import type { ProofOptions } from './options.ts';
import { paced } from './pace.ts';
import { createScratchDatabase, type ScratchDatabase } from './scratch-database.ts';
import { diceOf, seededRandom } from './seed.ts';
import { startTokenServer, type TokenServer } from './token-server.ts';
import { judge, type ConnectionAtEnd, type Verdict } from './verdict.ts';
import { drawWeather } from './weather.ts';
import { Workers, type Disturbance } from './workers.ts';

export interface ProofResult {
    redemptions: Redemptions;
    reads: Reads;
    verdict: Verdict;
    events: { committed: number; duplicates: number };
    disturbances: readonly Disturbance[];
}

const provider = 'proof-provider';
/** In calm, on the proof's clock: longer than the lease of a dead process and its rest, and than the waits of a webhook's first attempts. */
const settleMs = 15 * 60_000;

export async function runProof(options: ProofOptions, serverUrl: string, system: Sources, tell: (line: string) => void): Promise<ProofResult> {
    const pace = { origin: system.now(), factor: options.pace };
    const sources = paced(system, pace);
    const dice = (purpose: string) => diceOf(seededRandom(options.seed, purpose));
    const egress = createEgress({ allow: ['127.0.0.0/8'], sources, userAgent });
    const database = await createScratchDatabase(serverUrl, system);
    const weather = dice('token server');
    const tokenServer = await startTokenServer(sources, () => drawWeather(weather));
    const receiver = await startEventReceiver(dice('event receiver'));
    const apiKey = newRandomId(system);
    const workers = new Workers({
        databaseUrl: database.url,
        apiKey,
        encryptionKey: system.random(32).toString('base64'),
        pace,
        providersFor: (worker) => providerFile(tokenServer, worker),
        sources,
        wall: system,
        egress,
    });
    try {
        tell(`Starting ${options.processes} processes on a database of their own`);
        await workers.start(options.processes);
        const call = calling(egress, workers.all[0]!.url, apiKey);
        const connectionIds = await connectAll(call, tokenServer, receiver, options.connections, sources);

        tell(
            `${options.callers} callers read ${options.connections} connections for ${options.seconds} s, which pass as ${options.seconds * options.pace} s`,
        );
        const reads: Reads = { served: 0, refused: 0, notRenewed: 0, interrupted: 0, expired: 0, unexpected: new Map() };
        const setup: CallerSetup = { egress, sources, dice: dice('callers'), workers, tokenServer, apiKey, connectionIds };
        const over = new AbortController();
        const callers = Array.from({ length: options.callers }, () => readRepeatedly(setup, reads, over.signal));
        const disturbing = disturbRepeatedly(workers, sources, dice('disturbances'), over.signal);
        await Promise.race([system.sleep(options.seconds * 1000), disturbing, ...callers]);
        over.abort();
        tell('Calm: processes run, servers answer; every connection is renewed once more and every event waited for');
        await disturbing;
        tokenServer.clearUp();
        receiver.clearUp();
        await Promise.all(callers);

        const connections = await settle(setup, tokenServer, database);
        const committed = await undelivered(database, sources);
        return {
            redemptions: countRedemptions(tokenServer.grants),
            reads,
            verdict: judge(connections, { committed, received: receiver.events }, workers.disturbances),
            events: { committed: committed.length, duplicates: receiver.duplicates() },
            disturbances: workers.disturbances,
        };
    } finally {
        await workers.stop();
        await Promise.all([tokenServer.close(), receiver.close(), egress.close()]);
        await database.drop();
    }
}

type Call = (method: 'POST' | 'PATCH', path: string, body: unknown) => Promise<unknown>;

const calling =
    (egress: Egress, url: string, apiKey: string): Call =>
    async (method, path, body) => {
        const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
        const answer = await egress.request({ url: url + path, method, headers, body: JSON.stringify(body), deadlineMs: 600_000 });
        if (answer.status >= 300) {
            throw new Error(`${method} ${path} was answered with ${answer.status}: ${answer.body.toString().slice(0, 300)}`);
        }
        return JSON.parse(answer.body.toString());
    };

async function connectAll(call: Call, tokenServer: TokenServer, receiver: EventReceiver, count: number, sources: Sources): Promise<string[]> {
    await call('PATCH', '/environment/webhooks', { primary_url: receiver.url });
    const credentials = { type: 'OAUTH2', client_id: 'proof', client_secret: 'proof' };
    await call('POST', '/integrations', { provider, unique_key: integrationKey, credentials });
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
        const { id, tokens } = tokenServer.issue();
        const { access_token, refresh_token, expires_in } = tokens;
        await call('POST', '/connections', {
            provider_config_key: integrationKey,
            connection_id: connectionIdOf(id),
            credentials: { type: 'OAUTH2', access_token, refresh_token, expires_at: new Date(sources.now() + expires_in * 1000).toISOString() },
        });
        ids.push(connectionIdOf(id));
    }
    return ids;
}

const connectionIdOf = (grantId: string): string => `connection-${grantId}`;

/** A provider file in which the token URL tells the processes apart. */
const providerFile = (tokenServer: TokenServer, worker: number): string =>
    JSON.stringify({
        [provider]: {
            display_name: 'Proof',
            categories: ['other'],
            auth_mode: 'OAUTH2',
            authorization_url: tokenServer.authorizationUrl,
            token_url: tokenServer.tokenUrl(worker),
        },
    });

/**
 * Forces renewals of each connection until its grant is known to live, or marked as gone, or time is up. An answer that was found in
 * the journal counts as a renewal, though its grant may have ended since: that shows with the next.
 */
async function settle(setup: CallerSetup, tokenServer: TokenServer, database: ScratchDatabase): Promise<ConnectionAtEnd[]> {
    const { sources, workers } = setup;
    const deadline = sources.now() + settleMs;
    const renewable = new Map<string, boolean>();
    await Promise.all(
        tokenServer.grants.map(async (grant, index) => {
            const id = connectionIdOf(grant.id);
            const isSettled = async (): Promise<boolean> =>
                grant.isAlive ? renewable.get(id) === true : (await stateOf(database, id)) === 'needs_reauth';
            do {
                const { status } = await read(setup, workers.all[index % workers.all.length]!.url, id, true);
                renewable.set(id, status === 200);
                await sources.sleep(status === 200 ? 1_000 : 5_000);
            } while (sources.now() < deadline && !(await isSettled()));
        }),
    );
    const rows = await database.query<{ id: string; connection_id: string; auth_state: string }>(
        'select id, connection_id, auth_state from connections',
    );
    const journal = await database.query<{ connection_row_id: string; requested_at: Date; received_at: Date }>(
        'select connection_row_id, requested_at, received_at from credential_journal',
    );
    return tokenServer.grants.map((grant) => {
        const connectionId = connectionIdOf(grant.id);
        const row = rows.find((candidate) => candidate.connection_id === connectionId);
        return {
            grant,
            connectionId,
            authState: row?.auth_state ?? 'gone',
            journal: journal
                .filter((entry) => entry.connection_row_id === row?.id)
                .map((entry) => ({ requestedAt: entry.requested_at.getTime(), receivedAt: entry.received_at.getTime() })),
            isRenewable: renewable.get(connectionId) ?? false,
        };
    });
}

async function stateOf(database: ScratchDatabase, connectionId: string): Promise<string | undefined> {
    const rows = await database.query<{ connection_id: string; auth_state: string }>('select connection_id, auth_state from connections');
    return rows.find((row) => row.connection_id === connectionId)?.auth_state;
}

/** Waits until no delivery is pending, or time is up. @returns the ids of all events */
async function undelivered(database: ScratchDatabase, sources: Sources): Promise<string[]> {
    const deadline = sources.now() + settleMs;
    for (;;) {
        const [pending] = await database.query<{ count: string }>(`select count(*) from webhook_deliveries where state = 'pending'`);
        if (Number(pending?.count) === 0 || sources.now() > deadline) {
            return (await database.query<{ id: string }>('select id from webhook_events')).map(({ id }) => id);
        }
        await sources.sleep(2_000);
    }
}
