/** Valetkey that dies at a labelled step: `kill -9` from inside, at the exact moment that matters. First argument: the step. */
import { pino } from 'pino';
import { buildApp, type FaultStep } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { systemSources } from '../../src/sources.ts';

const config = loadConfig();
const fatalStep = process.env['TEST_DIE_AT'] as FaultStep;
const app = await buildApp({
    config,
    logger: pino({ level: config.logLevel }),
    sources: systemSources,
    onStep: (step) => {
        if (step === fatalStep) {
            process.kill(process.pid, 'SIGKILL');
            // the signal is not synchronous; nothing may happen after it
            return new Promise(() => {});
        }
    },
});
await app.server.listen({ host: config.host, port: config.port });
app.startWork();
