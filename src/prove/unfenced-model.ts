/**
 * A model of what Valetkey does not do: a lock with a time limit, no owner and no fencing number, and tokens that are in
 * memory until one UPDATE. Same token server, same weather and pauses, on a virtual clock; a seed gives the same run every time.
 */
import { Agenda } from './agenda.ts';
import { countRedemptions, newGeneration, redeem, type Grant, type Redemptions } from './ledger.ts';
import { diceOf, seededRandom } from './seed.ts';
import { drawPause, drawWeather } from './weather.ts';

export interface UnfencedOptions {
    processes: number;
    connections: number;
    /** Virtual. */
    durationMs: number;
    seed: number;
}

const lockMs = 10_000;
const waitMs = 12_000;
const pollMs = 50;
const tokenLifetimeMs = 120_000;
const marginMs = 30_000;
/** Of one connection by one process, ms. */
const readEveryMs = 4_000;
const pauseEveryMs = 120_000;

interface Connection {
    grant: Grant;
    /** The generation that the row holds. */
    stored: number;
    expiresAt: number;
    lockedUntil: number;
}

export interface UnfencedResult {
    redemptions: Redemptions;
    lost: number;
}

export function runUnfenced({ processes, connections, durationMs, seed }: UnfencedOptions): UnfencedResult {
    const dice = diceOf(seededRandom(seed, 'unfenced model'));
    const agenda = new Agenda();
    const resumesAt = Array.from({ length: processes }, () => 0);
    const all = Array.from({ length: connections }, (_, index): Connection => {
        const grant: Grant = { id: String(index + 1), isAlive: true, generations: [newGeneration()] };
        return { grant, stored: 0, expiresAt: dice.between(marginMs, tokenLifetimeMs), lockedUntil: 0 };
    });
    /** What a process does next, it does when it is awake. */
    const at = (process: number, time: number, step: (now: number) => void): void =>
        agenda.add(time, (now) => (resumesAt[process]! > now ? at(process, resumesAt[process]!, step) : step(now)));
    const isDue = (connection: Connection, now: number): boolean => connection.grant.isAlive && connection.expiresAt - now < marginMs;

    const tryLock = (process: number, connection: Connection, now: number, until: number): void => {
        if (connection.lockedUntil > now) {
            if (now < until) {
                at(process, now + pollMs, (later) => tryLock(process, connection, later, until));
            }
            return;
        }
        connection.lockedUntil = now + lockMs;
        if (!isDue(connection, now)) {
            connection.lockedUntil = 0;
            return;
        }
        const presented = connection.stored;
        const weather = drawWeather(dice);
        connection.grant.generations[presented]!.presented += 1;
        // The server does not stand still with the process.
        agenda.add(now + weather.untilRedeemedMs, (then) => {
            const isRedeemed = weather.refusal === undefined && redeem(connection.grant, presented, process, now);
            at(process, then + weather.untilAnsweredMs, (later) => {
                if (isRedeemed && !weather.isAnswerLost) {
                    connection.stored = presented + 1;
                    connection.expiresAt = later + tokenLifetimeMs;
                }
                // Whoever holds it by now.
                connection.lockedUntil = 0;
            });
        });
    };

    const readNext = (process: number, connection: Connection, from: number): void =>
        at(process, from + dice.between(0, 2 * readEveryMs), (now) => {
            if (isDue(connection, now)) {
                tryLock(process, connection, now, now + waitMs);
            }
            readNext(process, connection, now);
        });
    const pauseNext = (process: number, from: number): void =>
        agenda.add(from + dice.between(0, 2 * pauseEveryMs), (now) => {
            resumesAt[process] = now + drawPause(dice);
            pauseNext(process, resumesAt[process]);
        });

    for (let process = 0; process < processes; process += 1) {
        pauseNext(process, 0);
        for (const connection of all) {
            readNext(process, connection, 0);
        }
    }
    agenda.run(durationMs);
    const grants = all.map(({ grant }) => grant);
    return { redemptions: countRedemptions(grants), lost: grants.filter(({ isAlive }) => !isAlive).length };
}
