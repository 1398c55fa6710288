/**
 * Gives back what starting left behind. Compiling schemas and modules leaves some 35 MB of garbage that V8 would keep until
 * traffic makes it collect; a server that idles would keep it for good. Once, when the start is over; takes some 30 ms.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const settledAfterMs = 1_500;

export function collectAfterStart(): void {
    setTimeout(() => {
        setFlagsFromString('--expose-gc');
        const collect = runInNewContext('gc') as (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;
        setFlagsFromString('--no-expose-gc');
        collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    }, settledAfterMs).unref();
}
