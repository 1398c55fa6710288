import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections and to whoever listens on any: those go to others between choice and use. */
const [first, last] = [10_000, 32_000];
/** Test processes run side by side, so each begins elsewhere. */
let next = first + ((process.pid * 37) % (last - first));

/** A TCP port of 127.0.0.1 that was free a moment ago, and that this process has not been given before. */
export async function freePort(): Promise<number> {
    for (let tries = 0; tries < last - first; tries += 1) {
        const port = next;
        next = next + 1 < last ? next + 1 : first;
        if (await isFree(port)) return port;
    }
    throw new Error(`no port from ${first} to ${last} is free`);
}

async function isFree(port: number): Promise<boolean> {
    const server = createServer();
    const isBound = await new Promise<boolean>((resolve) => {
        server.once('error', () => resolve(false));
        server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isBound) await new Promise((resolve) => server.close(resolve));
    return isBound;
}
