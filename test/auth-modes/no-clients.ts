import type { RegisteredClients } from '../../src/auth-modes/mcp/registered-clients.ts';

/** For modes that register no clients: any use of it fails. */
export const noClients = new Proxy({} as RegisteredClients, {
    get: (_target, name) => {
        throw new Error(`no client is registered here, but "${String(name)}" was asked for`);
    },
});
