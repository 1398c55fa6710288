/** What a proof found: which connections ended how, and whether anything was lost that could have been kept. */
import { leaseMs } from '../credentials/leased-renewal.ts';
import type { ReceivedEvent } from './event-receiver.ts';
import type { Generation, Grant } from './ledger.ts';
import type { Disturbance } from './workers.ts';

/** After this long the row of a holder that does not answer is taken over: the lease (R1), and the rest of `refreshQueue` (R2), ms. */
const takenOverAfterMs = leaseMs + 30_000;
/** Between a call's moments here and as the process saw them, ms. */
const clockToleranceMs = 2_000;

export interface ConnectionAtEnd {
    grant: Grant;
    connectionId: string;
    authState: string;
    /** Of its token answers: when the call began and when the answer was in hand, ms. */
    journal: readonly { requestedAt: number; receivedAt: number }[];
    /** Whether a forced renewal at the end, in calm, gave a token. */
    isRenewable: boolean;
}

/**
 * - `kept`: its grant lives, and it can be renewed.
 * - `unanswered`: the provider redeemed the token, and its answer was cut off on the way: no client can save that.
 * - `died with the answer`: the process was killed, or stood still until it was taken over, before the answer was journalled.
 * - `lost`: none of these; it could have been kept.
 * - `stuck`: its grant lives, but it cannot be renewed.
 */
export type Fate = 'kept' | 'unanswered' | 'died with the answer' | 'lost' | 'stuck';

export function fateOf(connection: ConnectionAtEnd, disturbances: readonly Disturbance[]): Fate {
    if (connection.grant.isAlive) {
        return connection.isRenewable ? 'kept' : 'stuck';
    }
    const last = connection.grant.generations.findLast(({ redeemed }) => redeemed > 1);
    if (last === undefined || wasJournalled(connection, last)) {
        return 'lost';
    }
    // While its answer is still being made, a caller that hung up has lost it as well.
    if (last.answer === 'cut' || last.hungUpAt > 0) {
        return 'unanswered';
    }
    return disturbances.some((disturbance) => explains(disturbance, last)) ? 'died with the answer' : 'lost';
}

/** In time: a later answer may have been overtaken by whoever took the row over. */
const wasJournalled = ({ journal }: ConnectionAtEnd, { answer, presentedAt, answeredAt }: Generation): boolean =>
    answer === 'sent' &&
    journal.some(
        ({ requestedAt, receivedAt }) =>
            requestedAt <= presentedAt + clockToleranceMs &&
            receivedAt >= answeredAt - clockToleranceMs &&
            receivedAt < presentedAt + takenOverAfterMs - clockToleranceMs,
    );

function explains({ worker, kind, from, until }: Disturbance, { worker: caller, presentedAt, answeredAt }: Generation): boolean {
    if (worker !== caller || until < presentedAt - clockToleranceMs) {
        return false;
    }
    // Not answered at all: it was still outstanding when the token came again.
    const beganBeforeJournal = answeredAt === 0 || from <= answeredAt + clockToleranceMs;
    return beganBeforeJournal && (kind === 'killed' || until >= presentedAt + takenOverAfterMs - clockToleranceMs);
}

export interface EventsAtEnd {
    /** Ids that were committed with what they tell of. */
    committed: readonly string[];
    received: ReadonlyMap<string, ReceivedEvent>;
}

export interface Verdict {
    fates: Readonly<Record<Fate, number>>;
    /** Committed events that never came, creations without an event, and connections that need their user without one. */
    lostEvents: number;
    /** Connections whose grant is gone but which are not marked so. */
    unmarked: number;
    /** What is known of each connection that is lost or stuck, in words. */
    findings: readonly string[];
}

export function judge(connections: readonly ConnectionAtEnd[], events: EventsAtEnd, disturbances: readonly Disturbance[]): Verdict {
    const fates: Record<Fate, number> = { kept: 0, unanswered: 0, 'died with the answer': 0, lost: 0, stuck: 0 };
    const received = [...events.received.values()];
    const hasCome = (connectionId: string, operation: string, success: boolean): boolean =>
        received.some((event) => event.connectionId === connectionId && event.operation === operation && event.success === success);
    let lostEvents = events.committed.filter((id) => !events.received.has(id)).length;
    let unmarked = 0;
    const findings: string[] = [];
    for (const connection of connections) {
        const fate = fateOf(connection, disturbances);
        fates[fate] += 1;
        if (fate === 'lost' || fate === 'stuck') {
            findings.push(describe(connection, fate, disturbances));
        }
        const isMarked = connection.authState === 'needs_reauth';
        unmarked += !connection.grant.isAlive && !isMarked ? 1 : 0;
        lostEvents += hasCome(connection.connectionId, 'creation', true) ? 0 : 1;
        lostEvents += isMarked && !hasCome(connection.connectionId, 'refresh', false) ? 1 : 0;
    }
    return { fates, lostEvents, unmarked, findings };
}

/** Times in ms, counted from the moment the lost token was presented. */
function describe({ connectionId, grant, authState, journal }: ConnectionAtEnd, fate: Fate, disturbances: readonly Disturbance[]): string {
    const number = grant.generations.findLastIndex(({ redeemed }) => redeemed > 1);
    const generation = grant.generations[number];
    if (generation === undefined) {
        return `${connectionId} is ${fate} (${authState})`;
    }
    const { worker, presentedAt, answeredAt, answer } = generation;
    const near = (moment: number): boolean => Math.abs(moment - presentedAt) < 3 * takenOverAfterMs;
    const of = disturbances
        .filter((disturbance) => disturbance.worker === worker && (near(disturbance.from) || near(disturbance.until)))
        .map(({ kind, from, until }) => `${kind} ${from - presentedAt} to ${until - presentedAt}`);
    const entries = journal.filter(({ receivedAt }) => near(receivedAt)).map(({ receivedAt }) => receivedAt - presentedAt);
    return `${connectionId} is ${fate}: token ${number}, process ${worker}, answer ${answer} at ${answeredAt - presentedAt}; journalled at [${entries.join(', ')}]; its process was [${of.join('; ')}]`;
}
