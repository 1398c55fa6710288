/**
 * Ports that a case keeps while its processes end and start again: each is handed out once, and they lie below those that the system
 * takes for outgoing connections. Of a free port that was only asked for, another case may be told too before a process listens.
 */
import { listen } from '../../peers/http-server.ts';

const perProcess = 40;
let next = 10_000 + (process.pid % 500) * perProcess;

export async function casePort(): Promise<number> {
    for (;;) {
        const port = next;
        next += 1;
        try {
            const server = await listen(() => {}, '127.0.0.1', port);
            await server.close();
            return port;
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        }
    }
}
