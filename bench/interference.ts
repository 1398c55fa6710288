/** Whether the machine was ours: in a virtual machine the host may run others on its processors, which no process here can see. */
import { readFileSync } from 'node:fs';

/** @returns the share of processor time, from now on, that the host kept for others; `undefined` where the kernel does not tell */
export function watchInterference(): () => number | undefined {
    const before = processorTimes();
    return () => {
        const after = processorTimes();
        return before && after && (after.stolen - before.stolen) / (after.all - before.all);
    };
}

function processorTimes(): { stolen: number; all: number } | undefined {
    if (process.platform !== 'linux') {
        return undefined;
    }
    const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/\s+/);
    // user, nice, system, idle, iowait, irq, softirq, steal; guest times after these are counted in user and nice already
    const times = fields.slice(0, 8).map(Number);
    return { stolen: times[7] ?? 0, all: times.reduce((sum, time) => sum + time, 0) };
}
