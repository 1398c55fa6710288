/** Time that passes faster, the same for every process of a proof: leases of 45 s and back-offs of minutes fit into a short run. */
import type { Sources } from '../sources.ts';

export interface Pace {
    /** Where both clocks agree, ms since the epoch. */
    origin: number;
    /** How many milliseconds pass in one. */
    factor: number;
}

export const paced = (sources: Sources, { origin, factor }: Pace): Sources => ({
    now: () => Math.round(origin + (sources.now() - origin) * factor),
    random: sources.random,
    sleep: (ms, signal) => sources.sleep(ms / factor, signal),
});
