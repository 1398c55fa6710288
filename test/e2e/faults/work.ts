/** What a case cuts off, and what the runner asks of it. Implemented by `renewal-work.ts`, `callback-work.ts`, … */
import type { Reachable } from '../valetkey.ts';

export interface Work {
    /** Everything up to the held step; a process waits there then. */
    reach(): Promise<void>;
    /** Whether the effect is in the database now. */
    isDurable(): Promise<boolean>;
    /** Of a process that is killed, or that does not outlive an outage. */
    ended(): Promise<unknown>;
    /** Whether the process that was held has to live on when the database comes back. */
    outlivesOutage: boolean;
    /** Takes the answer of the next call that is made. Resolves when it was lost, and the loss noticed. */
    loseAnswer?(): Promise<void>;
    /** As if leases and patience had run out, which nobody waits for. */
    timePasses(): Promise<void>;
    /** Lets somebody finish: the same process after an outage or a lost answer, a fresh one after a kill. @returns whom to ask */
    finish(hasDied: boolean): Promise<Reachable>;
    /** @returns what speaks against a good end. */
    judge(valetkey: Reachable): Promise<Ending>;
}

export interface Ending {
    /** The connection is marked for its owner in place of being renewed. */
    isFlagged: boolean;
    /** What is lost, half-written or untold. */
    losses: string[];
}
