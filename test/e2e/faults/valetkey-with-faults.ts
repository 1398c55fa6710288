/**
 * Valetkey that stops at one labelled step, `TEST_HOLD_AT`, and asks the test how it goes on: serving, or as `keys rotate`.
 * `kill -9` then comes from inside, so that nothing can happen between the step and the end.
 */
import { enableCompileCache } from 'node:module';
import type { FaultStep } from '../../../src/app.ts';

// As `main.ts` does: this starts often.
enableCompileCache();
const { pino } = await import('pino');
const { buildApp } = await import('../../../src/app.ts');
const { loadConfig } = await import('../../../src/config.ts');
const { rotateKeys } = await import('../../../src/credentials/key-rotation.ts');
const { systemSources } = await import('../../../src/sources.ts');
const { openDatabase } = await import('../../../src/store/database.ts');

const config = loadConfig();
const heldStep = process.env['TEST_HOLD_AT'] as FaultStep;
const gateUrl = process.env['TEST_HOLD_URL']!;

async function onStep(step: FaultStep): Promise<void> {
    if (step !== heldStep) {
        return;
    }
    const answer = await fetch(gateUrl);
    if ((await answer.text()) === 'die') {
        process.kill(process.pid, 'SIGKILL');
        // the signal is not synchronous; nothing may happen after it
        await new Promise(() => {});
    }
}

if (process.argv.slice(2).join(' ') === 'keys rotate') {
    const database = await openDatabase(config.database);
    await rotateKeys(database.db, { ring: config.encryptionKeys!, sources: systemSources, onProgress: () => {}, onStep });
    await database.close();
} else {
    const app = await buildApp({ config, logger: pino({ level: config.logLevel }), sources: systemSources, onStep });
    await app.server.listen({ host: config.host, port: config.port });
    app.startWork();
}
