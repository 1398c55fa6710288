import { describe, expect, test } from 'vitest';
import { newGeneration, redeem, type Grant } from '../../src/prove/ledger.ts';
import { fateOf, judge, type ConnectionAtEnd } from '../../src/prove/verdict.ts';

const second = 1000;

/** A grant whose first refresh token was redeemed by process 7 at 100 s, answered at 101 s, and then presented again. */
function replayed(answer: 'sent' | 'cut'): Grant {
    const grant: Grant = { id: '1', isAlive: true, generations: [newGeneration()] };
    redeem(grant, 0, 7, 100 * second);
    Object.assign(grant.generations[0]!, { answer, answeredAt: 101 * second });
    redeem(grant, 0, 8, 200 * second);
    return grant;
}

const atEnd = (grant: Grant, changes: Partial<ConnectionAtEnd> = {}): ConnectionAtEnd => ({
    grant,
    connectionId: 'c-1',
    authState: grant.isAlive ? 'ok' : 'needs_reauth',
    journal: [],
    isRenewable: grant.isAlive,
    ...changes,
});
const killed = (worker: number, at: number) => ({ worker, kind: 'killed' as const, from: at, until: at });
const paused = (worker: number, from: number, until: number) => ({ worker, kind: 'paused' as const, from, until });

describe('a refresh token that is presented again', () => {
    test('ends its grant, and is counted', () => {
        const grant = replayed('sent');
        expect(grant.isAlive).toBe(false);
        expect(grant.generations[0]).toMatchObject({ redeemed: 2, worker: 7 });
    });
});

describe('the fate of a connection', () => {
    const alive: Grant = { id: '1', isAlive: true, generations: [newGeneration()] };

    test.each([
        ['kept', atEnd(alive), []],
        ['stuck', atEnd(alive, { isRenewable: false }), []],
        ['unanswered', atEnd(replayed('cut')), []],
        ['lost', atEnd(replayed('sent')), []],
        // the answer was in the journal
        ['lost', atEnd(replayed('sent'), { journal: [{ requestedAt: 99 * second, receivedAt: 101 * second }] }), [killed(7, 101 * second)]],
        ['died with the answer', atEnd(replayed('sent')), [killed(7, 101 * second)]],
        // another process was killed, or this one before and long after
        ['lost', atEnd(replayed('sent')), [killed(8, 101 * second), killed(7, 90 * second), killed(7, 110 * second)]],
        // stood still until another process had to think that it is gone
        ['died with the answer', atEnd(replayed('sent')), [paused(7, 90 * second, 180 * second)]],
        // woke up in time to write
        ['lost', atEnd(replayed('sent')), [paused(7, 90 * second, 150 * second)]],
    ] as const)('%s', (fate, connection, disturbances) => {
        expect(fateOf(connection, disturbances)).toBe(fate);
    });
});

describe('events', () => {
    const creation = { operation: 'creation', success: true, connectionId: 'c-1' };
    const failure = { operation: 'refresh', success: false, connectionId: 'c-1' };
    const lostOf = (received: [string, typeof creation][], committed: string[], connection: ConnectionAtEnd): number =>
        judge([connection], { committed, received: new Map(received) }, []).lostEvents;

    test('one that was committed and never came is lost, and so is one that was never committed', () => {
        const kept = atEnd({ id: '1', isAlive: true, generations: [newGeneration()] });
        expect(lostOf([['msg_1', creation]], ['msg_1'], kept)).toBe(0);
        expect(lostOf([['msg_1', creation]], ['msg_1', 'msg_2'], kept)).toBe(1);
        expect(lostOf([], [], kept)).toBe(1);
        const gone = atEnd(replayed('cut'));
        expect(lostOf([['msg_1', creation]], ['msg_1'], gone)).toBe(1);
        expect(
            lostOf(
                [
                    ['msg_1', creation],
                    ['msg_2', failure],
                ],
                ['msg_1', 'msg_2'],
                gone,
            ),
        ).toBe(0);
    });

    test('a grant that is gone must be marked', () => {
        const unmarked = atEnd(replayed('cut'), { authState: 'ok' });
        expect(judge([unmarked], { committed: [], received: new Map() }, []).unmarked).toBe(1);
    });
});
