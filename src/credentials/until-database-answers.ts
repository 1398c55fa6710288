/** R2b: what a provider has given us is written even if the database is away: retried with back-off while the process lives. */
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';

/** SQLSTATE classes that pass: connection, resources, operator intervention, serialisation. */
const passing = /^(08|53|57|40)/;

/** @throws the error of `write` when waiting cannot help. */
export async function untilDatabaseAnswers<T>(write: () => Promise<T>, context: { sources: Sources; logger: Logger }): Promise<T> {
    for (let pause = 100; ; pause = Math.min(pause * 2, 5_000)) {
        try {
            return await write();
        } catch (error) {
            if (!isPassing(error)) {
                throw error;
            }
            context.logger.error({ err: error }, 'the database does not answer; an outcome is held in memory and will be written when it does');
            await context.sources.sleep(pause);
        }
    }
}

function isPassing(error: unknown): boolean {
    if (!(error instanceof Error)) {
        return false;
    }
    const code = (error as { code?: unknown }).code;
    const isSqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code);
    return isSqlState ? passing.test(code) : isConnectionLoss(error.message, code);
}

/** Errors of the driver itself carry no SQLSTATE. */
const isConnectionLoss = (message: string, code: unknown): boolean =>
    (typeof code === 'string' && /^E[A-Z]+$/.test(code)) || /connection|timeout|terminated|not queryable/i.test(message);
