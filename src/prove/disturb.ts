/** Kills processes and stops them for up to three times the lease, while at least one goes on. */
import type { Sources } from '../sources.ts';
import type { Dice } from './seed.ts';
import { drawPause } from './weather.ts';
import type { Workers } from './workers.ts';

/** On the proof's clock, ms. */
const calm = { from: 10_000, to: 70_000 };
const killShare = 0.35;

/** Until told to stop; resolves when every process runs again. */
export async function disturbRepeatedly(workers: Workers, sources: Sources, dice: Dice, until: AbortSignal): Promise<void> {
    const under = new Set<Promise<void>>();
    while (!until.aborted) {
        await sources.sleep(dice.between(calm.from, calm.to), until).catch(() => {});
        const running = workers.all.flatMap(({ state }, slot) => (state === 'running' ? [slot] : []));
        if (until.aborted || running.length < 2) {
            continue;
        }
        const slot = dice.pick(running);
        const disturbance = dice.happens(killShare) ? workers.replace(slot) : workers.pause(slot, drawPause(dice));
        const tracked = disturbance.finally(() => under.delete(tracked));
        under.add(tracked);
    }
    await Promise.all(under);
}
