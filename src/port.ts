/** Whether the listen address can be had; asked before the database is touched. */
import { createServer } from 'node:net';
import { once } from 'node:events';
import { StartupError, type Config } from './config.ts';

/** @throws StartupError */
export async function assertPortFree({ host, port }: Pick<Config, 'host' | 'port'>, variable = 'PORT'): Promise<void> {
    const probe = createServer();
    probe.listen({ host, port, exclusive: true });
    try {
        await once(probe, 'listening');
    } catch (error) {
        throw cannotListen(error, { host, port }, variable);
    }
    probe.close();
    await once(probe, 'close');
}

/** `variable`: where the port can be set. */
export function cannotListen(error: unknown, { host, port }: Pick<Config, 'host' | 'port'>, variable = 'PORT'): StartupError {
    const { code } = error as NodeJS.ErrnoException;
    return new StartupError(
        code === 'EADDRINUSE'
            ? `Port ${port} is in use; stop the process that has it, or set ${variable} to another one.`
            : `It is not possible to listen on ${host}:${port} (${code}); set HOST and ${variable} to an address of this machine.`,
    );
}
