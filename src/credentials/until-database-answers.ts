/** R2b: what a provider has given us is written even if the database is away: retried with back-off while the process lives. */
import type { Logger } from 'pino';
import type { Sources } from '../sources.ts';

/**
 * SQLSTATEs that pass: connection, serialisation, resources, operator intervention, disk, a lock not to be had, what a demoted primary
 * says until the pool has found the new one, and what a server says that lets nobody in for now: passwords are changed, who vouches for
 * them is away, a database is restored under its name.
 */
const passing = /^(08|28|40|53|57|58|55P03|25006|3D000)/;
/** Node's names for a failed system call, name lookup or stream; any other `ERR_…` is a mistake of the caller. */
const systemError = /^(E(?!RR_)[A-Z_]+$|ERR_(STREAM|SSL|TLS)_)/;

const longestPauseMs = 500;

/** @throws the error of `write` when waiting cannot help. */
export async function untilDatabaseAnswers<T>(write: () => Promise<T>, context: { sources: Sources; logger: Logger }): Promise<T> {
    for (let pause = 100; ; pause = Math.min(pause * 2, longestPauseMs)) {
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

export function isPassing(error: unknown): boolean {
    if (!(error instanceof Error)) {
        return false;
    }
    const code = (error as { code?: unknown }).code;
    if (typeof code !== 'string') {
        return error.name === 'Error' && isConnectionLoss(error.message);
    }
    return systemError.test(code) || passing.test(code);
}

/** Errors of the driver itself carry no code, nor a name: one that has a name may speak of an account's connection. */
const isConnectionLoss = (message: string): boolean => /connection|timeout|terminated|not queryable/i.test(message);
