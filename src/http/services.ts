/** What handlers work with. Built once in `app.ts`. */
import type { Logger } from 'pino';
import type { RegisteredClients } from '../auth-modes/mcp/registered-clients.ts';
import type { LocalTokens } from '../auth-modes/local-tokens.ts';
import type { Config } from '../config.ts';
import type { ConnectContext } from '../connect/connect-session.ts';
import type { FlowWaits } from '../connect/flow-waits.ts';
import type { OutcomeSockets } from '../connect/outcome-sockets.ts';
import type { Revocations } from '../connect/revocations.ts';
import type { FetchedConnections } from '../credentials/fetched-connections.ts';
import type { Renewals } from '../credentials/renewal.ts';
import type { Vault } from '../credentials/vault.ts';
import type { Egress } from '../egress/egress.ts';
import type { Catalogue } from '../providers/catalogue.ts';
import type { Sources } from '../sources.ts';
import type { Database } from '../store/database.ts';
import type { ConnectUiPage } from './connect-ui/page.ts';
import type { OperationStreams } from './operation-streams.ts';

export interface Services {
    config: Config;
    sources: Sources;
    logger: Logger;
    database: Database;
    vault: Vault;
    catalogue: Catalogue;
    egress: Egress;
    clients: RegisteredClients;
    connect: ConnectContext;
    sockets: OutcomeSockets;
    flowWaits: FlowWaits;
    /** Absent where it is switched off. */
    connectUi: ConnectUiPage | undefined;
    streams: OperationStreams;
    renewals: Renewals;
    revocations: Revocations;
    fetched: FetchedConnections;
    /** Where the browser is sent in place of a provider's page: in simulate mode, to its twin. */
    browserAddress(address: string): string;
    localTokens: LocalTokens;
    /** Told of every answer, to count it; absent where nobody counts. */
    onAnswer?: ((method: string, route: string | undefined, status: number, ms: number) => void) | undefined;
    /** Whether shutdown has begun. */
    isStopping(): boolean;
}
