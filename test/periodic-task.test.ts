import { expect, test } from 'vitest';
import { PeriodicTask } from '../src/periodic-task.ts';
import { virtualSources } from './virtual-sources.ts';

const begin = 1_000_000;

/** Notes the moment of each round, from its start on. `work` decides how a round goes. */
function taskDoing(work: (round: number) => Promise<void>, isDueAtStart = true) {
    const time = virtualSources(begin);
    const rounds: number[] = [];
    const failures: unknown[] = [];
    const task = new PeriodicTask({
        sources: time,
        everyMs: 60,
        isDueAtStart,
        work: (round) => {
            rounds.push(time.now() - begin);
            return work(round);
        },
        onError: (error) => failures.push(error),
    });
    return { task, time, rounds, failures };
}

test('rounds begin at once or after a rest, and follow one another with a rest in between', async () => {
    for (const [isDueAtStart, expected] of [
        [true, [0, 60, 120]],
        [false, [60, 120, 180]],
    ] as const) {
        const { task, time, rounds } = taskDoing(() => Promise.resolve(), isDueAtStart);
        task.start();
        await time.advance(expected.at(-1)!);
        await task.stop();
        expect(rounds).toEqual(expected);
    }
});

test('the rest is counted from the end of a round, so that no two overlap', async () => {
    const { task, time, rounds } = taskDoing(() => time.sleep(100));
    task.start();
    await time.advance(350);
    expect(rounds).toEqual([0, 160, 320]);
});

test('a round that fails, in whatever way, is told of and does not end the task', async () => {
    const { task, time, rounds, failures } = taskDoing((round) => {
        if (round === 1) {
            throw new Error('at once');
        }
        return round === 2 ? Promise.reject(new Error('later')) : Promise.resolve();
    });
    task.start();
    await time.advance(120);
    await task.stop();
    expect(rounds).toEqual([0, 60, 120]);
    expect(failures).toEqual([new Error('at once'), new Error('later')]);
});

test('stopping cuts the rest short, waits for the round under way and tells it', async () => {
    const finish = Promise.withResolvers<void>();
    const { task, time, rounds } = taskDoing((round) => (round === 2 ? finish.promise : Promise.resolve()));
    task.start();
    await time.advance(60);

    let isStopped = false;
    const stopped = task.stop().then(() => {
        isStopped = true;
    });
    await time.advance(600);
    expect([task.stopping.aborted, isStopped]).toEqual([true, false]);

    finish.resolve();
    await stopped;
    await time.advance(600);
    expect(rounds).toEqual([0, 60]);
    expect(time.sleeping()).toEqual([]);
});

test('stopping during the first rest means that nothing is done, and starting twice that nothing is done twice', async () => {
    const stopped = taskDoing(() => Promise.resolve(), false);
    stopped.task.start();
    await stopped.task.stop();
    await stopped.time.advance(600);
    expect(stopped.rounds).toEqual([]);

    const twice = taskDoing(() => Promise.resolve());
    twice.task.start();
    twice.task.start();
    await twice.time.advance(60);
    await twice.task.stop();
    expect(twice.rounds).toEqual([0, 60]);
});
