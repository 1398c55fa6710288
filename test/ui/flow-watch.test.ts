/** What the page makes of the server's answers about a flow (frontend contract §7.3 to 6). */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiError } from '../../src/ui/connect/api.ts';
import type { FlowStatus } from '../../src/ui/connect/api-types.ts';
import { watchFlow } from '../../src/ui/connect/flow-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const state = (name: FlowStatus['state']): FlowStatus => ({ state: name, outcome: null });

/** An answer, or a failure, and how many seconds it takes. */
type Answer = [answer: FlowStatus | Error, seconds?: number];

async function watch(...answers: Answer[]): Promise<{ events: string[]; waits: number[] }> {
    const events: string[] = [];
    const waits: number[] = [];
    const ended = watchFlow(
        async (wait) => {
            waits.push(wait);
            const [answer, seconds = 0] = answers[waits.length - 1]!;
            await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
            if (answer instanceof Error) throw answer;
            return answer;
        },
        {
            onStatus: (status) => events.push(status.state),
            onNothingOpened: () => events.push('nothing opened'),
            onExpired: () => events.push('expired'),
            isOver: () => waits.length === answers.length,
        },
    );
    await vi.advanceTimersByTimeAsync(120_000);
    await ended;
    return { events, waits };
}

describe('watching a flow', () => {
    test('until it is done', async () => {
        const { events, waits } = await watch([state('started')], [state('returned')], [state('done')], [state('done')]);
        expect(events).toEqual(['started', 'returned', 'done']);
        expect(waits).toEqual([4, 20, 20]);
    });

    test('four seconds in which nobody came mean that nothing was opened, and are told once', async () => {
        expect((await watch([state('unknown'), 4], [state('unknown'), 20], [state('started')], [state('done')])).events).toEqual([
            'nothing opened',
            'started',
        ]);
    });

    test('an early answer means nothing', async () => {
        expect((await watch([state('unknown'), 0], [state('unknown'), 0], [state('started')], [state('done')])).events).toEqual(['started']);
    });

    test('a server that cannot be reached is asked again; one that has forgotten the session is not', async () => {
        const unreachable = new ApiError(0, 'unknown_error', '');
        const unauthorized = new ApiError(401, 'unknown_connect_session_token', '');
        const { events, waits } = await watch([unreachable], [unreachable], [unauthorized], [state('done')]);
        expect(events).toEqual(['expired']);
        expect(waits).toHaveLength(3);
    });
});
