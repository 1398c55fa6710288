/** What a database server costs: the processor time of its processes, where it runs on this machine. */
import { readdirSync, readFileSync } from 'node:fs';
import type pg from 'pg';

/** @returns a function that says how much of one core Postgres has used since; `undefined` where that cannot be seen */
export async function watchPostgres(client: pg.Client): Promise<() => number | undefined> {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const server = stat(rows[0]!.pid)?.parent;
    const before = server === undefined ? undefined : secondsOf(server);
    const begin = performance.now();
    return () => {
        const after = server === undefined ? undefined : secondsOf(server);
        return before === undefined || after === undefined ? undefined : (after - before) / ((performance.now() - begin) / 1000);
    };
}

/** Kernel's clock ticks per second, on every Linux of today. */
const ticks = 100;

/** Of the server, of what it has running, and of what has ended. */
function secondsOf(server: number): number | undefined {
    const all = readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .flatMap((pid) => stat(Number(pid)) ?? []);
    const own = all.find(({ pid }) => pid === server);
    const children = all.filter(({ parent }) => parent === server);
    return own && (own.ticks + own.ticksOfEnded + children.reduce((sum, child) => sum + child.ticks, 0)) / ticks;
}

function stat(pid: number): { pid: number; parent: number; ticks: number; ticksOfEnded: number } | undefined {
    try {
        const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
        // After the name, which may hold anything: state, parent, …, utime (12th), stime, cutime, cstime.
        const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
        const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number) as [number, number, number, number];
        return { pid, parent: Number(fields[1]), ticks: utime + stime, ticksOfEnded: cutime + cstime };
    } catch {
        return undefined;
    }
}
