/** Reading a connection while it is being renewed, by the same process and by another: the reader waits for the token call, not much longer. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { watchInterference } from './interference.ts';
import type { Postgres } from './postgres.ts';
import { prepareRenewals, provider } from './renewals.ts';
import { printFigures } from './table.ts';

const tokenServerMs = 200;
const count = 400;
/** The first ones meet processes that have just started, whose code is compiled while they run; they are not counted. */
const warmUp = 40;
/** From one connection falling due to the next. */
const everyMs = 50;
const readers = 4;
const leadMs = 3_000;
const mostTimes = 2;

export async function measureReadsWhileRenewing(postgres: Postgres): Promise<void> {
    const bench = await prepareRenewals(postgres, tokenServerMs);
    const key = randomUUID();
    const servers = [await bench.startValetkey({ VALETKEY_SECRET_KEY_DEV: key }), await bench.startValetkey({ VALETKEY_SECRET_KEY_DEV: key })];
    try {
        const from = Date.now() + leadMs;
        const ids = await bench.addConnections(count, (index) => from + index * everyMs);
        const headers = { authorization: `Bearer ${key}` };
        const latencies: number[] = [];
        const interference = watchInterference();
        const read = async (id: string, reader: number, isCounted: boolean): Promise<void> => {
            const begin = performance.now();
            const response = await fetch(`${servers[reader % servers.length]!.url}/connections/${id}?provider_config_key=${provider}`, { headers });
            await response.arrayBuffer();
            if (response.status !== 200) {
                throw new Error(`a read answered ${response.status}`);
            }
            if (isCounted) {
                latencies.push(performance.now() - begin);
            }
        };
        await Promise.all(
            ids.map(async (id, index) => {
                await delay(from + index * everyMs - Date.now());
                await Promise.all(Array.from({ length: readers }, (_, reader) => read(id, reader, index >= warmUp)));
            }),
        );
        const calls = await bench.answered();
        if (calls !== count) {
            throw new Error(`${calls} token calls for ${count} connections`);
        }
        // A fresh token is served without a wait: those that came before the due time, by a difference of clocks, are not meant.
        const waited = latencies.filter((ms) => ms > tokenServerMs / 2).toSorted((a, b) => a - b);
        const at = (share: number): number => waited[Math.min(waited.length - 1, Math.floor(waited.length * share))]!;
        const stolen = interference();
        printFigures(`Reading a connection while it is being renewed: token server at ${tokenServerMs} ms, ${readers} readers each, two processes`, [
            { name: 'reads that waited for a renewal', value: `${waited.length} of ${latencies.length}` },
            { name: 'latency, median', value: `${at(0.5).toFixed(0)} ms` },
            {
                name: 'latency, p99',
                value: `${at(0.99).toFixed(0)} ms`,
                target: `< ${mostTimes * tokenServerMs} ms`,
                isMet: at(0.99) < mostTimes * tokenServerMs,
            },
            { name: 'token calls per renewal', value: (calls / count).toFixed(2), target: '1.00', isMet: calls === count },
            { name: 'processor time the host kept for others', value: stolen === undefined ? '?' : `${(stolen * 100).toFixed(0)} %` },
        ]);
    } finally {
        await Promise.all(servers.map((server) => server.stop()));
        await bench.close();
    }
}
