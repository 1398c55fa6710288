/** Mutual TLS (RFC 8705 §2, N6) against servers that demand a client certificate. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { beforeEach, describe, expect, it } from 'vitest';
import { selfSigned } from './certificate.ts';
import { failureOf, httpServer, httpsServer, loopbackEgress, onCleanup, trust } from './servers.ts';

const trusted = selfSigned(['127.0.0.1']);
const [ann, bob] = [selfSigned(['ann.example']), selfSigned(['bob.example'])];
const identityOf = ({ cert, key }: typeof ann) => ({ certificate: cert, key });

beforeEach(() => trust(trusted));

/** Answers with the subject's alternative name, 401 to those without one, and counts connections. */
async function mutualServer(server = trusted, headers: Record<string, string> = {}) {
    let connections = 0;
    const https = createServer({ ...server, requestCert: true, rejectUnauthorized: false }, (request, response) => {
        const { subjectaltname } = (request.socket as TLSSocket).getPeerCertificate();
        response.writeHead(subjectaltname === undefined ? 401 : headers['location'] ? 307 : 200, headers).end(subjectaltname);
    });
    https.on('secureConnection', () => (connections += 1));
    await new Promise<void>((resolve) => https.listen(0, '127.0.0.1', resolve));
    onCleanup(() => {
        https.closeAllConnections();
        https.close();
    });
    return { url: `https://127.0.0.1:${(https.address() as AddressInfo).port}/`, connections: () => connections };
}

describe('a client certificate', () => {
    it('is presented, on a connection that serves nobody else', async () => {
        const server = await mutualServer();
        const egress = loopbackEgress();
        const said: string[] = [];
        for (const who of [ann, bob, ann]) {
            said.push((await egress.request({ url: server.url, clientCertificate: identityOf(who) })).body.toString());
        }
        expect([said, server.connections()]).toEqual([['DNS:ann.example', 'DNS:bob.example', 'DNS:ann.example'], 3]);
        // The connections are over: nobody without a certificate gets through on one of them.
        expect((await egress.request({ url: server.url })).status).toBe(401);
    });

    it('is not presented to a server that the first one redirects to', async () => {
        let peer: unknown;
        const other = createServer({ ...trusted, requestCert: true, rejectUnauthorized: false }, (request, response) => {
            peer = (request.socket as TLSSocket).getPeerCertificate();
            response.end('other');
        });
        await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
        onCleanup(() => void other.close());
        const server = await mutualServer(trusted, { location: `https://127.0.0.1:${(other.address() as AddressInfo).port}/` });
        const answer = await loopbackEgress().request({ url: server.url, clientCertificate: identityOf(ann), maxRedirects: 1 });
        expect([answer.body.toString(), peer]).toEqual(['other', {}]);
        other.closeAllConnections();
    });

    it('does not make an untrusted server acceptable', async () => {
        const server = await mutualServer(selfSigned(['127.0.0.1']));
        const error = await failureOf(loopbackEgress().request({ url: server.url, clientCertificate: identityOf(ann) }));
        expect(error).toMatchObject({ code: 'tls_failure', neverSent: true });
    });

    it('is never sent for nothing: plain http is refused', async () => {
        const server = await httpServer((_request, response) => response.end());
        const error = await failureOf(loopbackEgress().request({ url: server.origin, clientCertificate: identityOf(ann) }));
        expect([error.code, error.reason, server.connections]).toEqual(['blocked_by_policy', 'plain_http', []]);
    });

    it('leaves the shared connections alone', async () => {
        const server = await httpsServer(trusted, (_request, response) => response.end());
        const egress = loopbackEgress();
        const url = `${server.origin}/`;
        await egress.request({ url });
        await egress.request({ url, clientCertificate: identityOf(ann) });
        await egress.request({ url });
        expect(server.connections).toHaveLength(2);
    });
});
