/** Opens connections: asks the policy for addresses, connects to one of exactly those, and verifies TLS. Sends no request. */
import { connect as connectTcp, isIP } from 'node:net';
import type { Socket, TcpNetConnectOpts } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import type { Sources } from '../sources.ts';
import { EgressError, systemCode } from './egress-error.ts';
import { portOf } from './policy.ts';
import type { Policy } from './policy.ts';

/** Name resolution, TCP and TLS handshake together (N5). */
export const CONNECT_TIMEOUT_MS = 5_000;

/** What the client proves itself with in the TLS handshake (RFC 8705 §2). PEM. */
export interface ClientCertificate {
    /** Its chain may follow. */
    certificate: string;
    key: string;
}

/** Node tries addresses one after the other and gives each this long; its default would give up on far-away servers. */
const ADDRESS_ATTEMPT_MS = 1_000;

export function createConnector(policy: Policy, sources: Sources, client?: ClientCertificate): buildConnector.connector {
    return ({ hostname, protocol, port: portText }, callback) => {
        const port = portOf(protocol, portText);
        const settled = new AbortController();
        let socket: Socket | undefined;

        const settle = (error?: EgressError): void => {
            if (settled.signal.aborted) return;
            settled.abort('settled');
            if (error === undefined && socket !== undefined) {
                callback(null, socket);
            } else {
                socket?.destroy();
                callback(error ?? new EgressError('connection_failed', hostname, { neverSent: true }), null);
            }
        };

        const open = (addresses: readonly string[]): void => {
            if (settled.signal.aborted) return;
            const options: TcpNetConnectOpts = {
                host: hostname,
                port,
                // The pin: Node is given the addresses that were checked and never resolves the name itself.
                lookup: (_hostname, _options, done) =>
                    done(
                        null,
                        addresses.map((address) => ({ address, family: isIP(address) })),
                    ),
                autoSelectFamily: true,
                autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
                noDelay: true,
                keepAlive: true,
            };
            let reachable = false;
            if (protocol === 'https:') {
                // Stated although they are defaults: verification must not hang on NODE_TLS_REJECT_UNAUTHORIZED (N6).
                const servername = isIP(hostname) === 0 ? hostname : '';
                const identity = client === undefined ? {} : { cert: client.certificate, key: client.key };
                socket = connectTls({ ...options, ...identity, servername, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] });
                socket.once('secureConnect', () => settle());
            } else {
                socket = connectTcp(options);
                socket.once('connect', () => settle());
            }
            socket.once('connect', () => (reachable = true));
            socket.on('error', (error) => settle(connectError(error, hostname, reachable)));
        };

        sources.sleep(CONNECT_TIMEOUT_MS, settled.signal).then(
            () => settle(new EgressError('connect_timeout', hostname, { neverSent: true })),
            () => {},
        );
        policy
            .addressesOf(hostname, port)
            .then(open)
            .catch((error: unknown) => settle(connectError(error, hostname, false)));
    };
}

function connectError(error: unknown, hostname: string, reachable: boolean): EgressError {
    if (error instanceof EgressError) return error;
    const reason = systemCode(error);
    const detail = { neverSent: true, reason };
    if (reason === 'ETIMEDOUT') return new EgressError('connect_timeout', hostname, detail);
    // Past the TCP handshake only a hang-up is the network's doing; everything else is TLS refusing to go on.
    const handshake = reachable && reason !== 'ECONNRESET' && reason !== 'EPIPE';
    return new EgressError(handshake ? 'tls_failure' : 'connection_failed', hostname, detail);
}
