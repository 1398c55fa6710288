/** How V8 keeps its heap, where what it does by itself is made for browsers: a page that idles is not a server between two bursts of work. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const settledAfterMs = 1_500;
/** A flag that V8 no longer knows would be passed over in silence; a test asks for it. */
export const keptFor5Minutes = '--memory-reducer-delay-ms=300000';

/**
 * Gives back what starting left behind. Compiling schemas and modules leaves some 35 MB of garbage that V8 would keep until
 * traffic makes it collect; a server that idles would keep it for good. Once, when the start is over; takes some 30 ms.
 */
export function collectAfterStart(): void {
    setTimeout(() => {
        setFlagsFromString('--expose-gc');
        const collect = runInNewContext('gc') as (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;
        setFlagsFromString('--no-expose-gc');
        collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    }, settledAfterMs).unref();
}

/**
 * Eight idle seconds are enough for V8 to shrink the heap, and with the shapes of objects that nobody uses just then goes the
 * code compiled for them: whatever is due next begins with compiling it again, at two thirds of the pace. After minutes without
 * work the memory is given back all the same. V8 reads this flag whenever it decides, so that it holds for a running process.
 */
export function keepBetweenBursts(): void {
    setFlagsFromString(keptFor5Minutes);
}
