/** `valetkey prove`: what it needs, what it prints, and the processes that it runs. */
import { pino } from 'pino';
import type { AddressInfo } from 'node:net';
import { buildApp } from './app.ts';
import { loadConfig, StartupError } from './config.ts';
import { liveThrough } from './prove/calendar.ts';
import { readProofOptions } from './prove/options.ts';
import { runProof } from './prove/proof.ts';
import { calendarHolds, calendarReport, holds, proofReport } from './prove/report.ts';
import { scratchPrefix } from './prove/scratch-database.ts';
import { runUnfenced } from './prove/unfenced-model.ts';
import { systemSources } from './sources.ts';

const calendar = { days: 400, connections: 5_000 };

/** @throws StartupError */
export async function prove(words: readonly string[]): Promise<void> {
    if (words[0] === '--worker') {
        return runWorker({ origin: Number(words[1]), factor: Number(words[2]) });
    }
    const options = readProofOptions(words, systemSources);
    const { database } = loadConfig();
    if (database.kind !== 'postgres') {
        throw new StartupError(
            'A proof runs several processes on one database, which the embedded one does not allow: set DATABASE_URL. It makes a database of its own on that server and removes it.',
        );
    }
    process.stdout.write(`\n  Valetkey prove, seed ${options.seed}\n\n`);
    const years = { ...calendar, seed: options.seed };
    const lived = liveThrough(years);
    process.stdout.write(`${calendarReport(years, lived)}\n`);
    const unfenced = runUnfenced({ ...options, durationMs: options.seconds * options.pace * 1000 });
    const result = await runProof(options, database.url, systemSources, (line) => process.stdout.write(`  ${line}\n`));
    process.stdout.write(proofReport(options, result, unfenced));
    process.exitCode = holds(result) && calendarHolds(lived) ? 0 : 1;
}

/** A process of a proof: it serves as any other, on a clock that runs faster. */
async function runWorker(pace: { origin: number; factor: number }): Promise<void> {
    const config = loadConfig();
    // A fast clock would renew what is not due.
    if (config.database.kind !== 'postgres' || !new URL(config.database.url).pathname.startsWith(`/${scratchPrefix}`)) {
        throw new StartupError('Only "valetkey prove" starts its workers.');
    }
    const app = await buildApp({ config, logger: pino({ level: config.logLevel }), sources: systemSources, pace });
    await app.server.listen({ host: config.host, port: config.port });
    app.startWork();
    process.send?.({ port: (app.server.server.address() as AddressInfo).port });
    // Whoever started it is gone.
    process.on('disconnect', () => process.exit(0));
}
