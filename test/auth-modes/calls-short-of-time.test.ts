/** A call that presents a grant is not begun when there is hardly time for its answer: what it rotates would be lost with it (R2). */
import { beforeEach, expect, test } from 'vitest';
import type { ModeContext } from '../../src/auth-modes/auth-mode.ts';
import type { RegisteredClients } from '../../src/auth-modes/mcp/registered-clients.ts';
import type { Client, ClientRegistration } from '../../src/auth-modes/mcp/client-registration.ts';
import { requestAsClient } from '../../src/auth-modes/mcp/token-calls.ts';
import { refreshTokenGrant } from '../../src/auth-modes/oauth2.ts';
import { refreshTokenOf } from '../../src/credentials/credential.ts';
import { presentGrant } from '../../src/credentials/present-grant.ts';
import type { EgressRequest, EgressResponse } from '../../src/egress/egress.ts';
import { contextOf, recordings } from '../providers/exceptions/recordings.ts';
import type { Vendors } from '../providers/exceptions/vendors.ts';
import { virtualSources, type VirtualSources } from '../virtual-sources.ts';

const second = 1000;
const recording = recordings.get('slack')!;
const stored = recording.refresh!.stored!;

let sources: VirtualSources;
let asked: EgressRequest[];
let context: ModeContext;
/** Of each call: how long it takes, and its answer. */
let answers: { ms: number; status: number; body: unknown }[];
beforeEach(() => {
    sources = virtualSources();
    asked = [];
    const request = async (call: EgressRequest): Promise<EgressResponse> => {
        const { ms, status, body } = answers[asked.length]!;
        const requestedAt = sources.now();
        asked.push(call);
        await sources.advance(ms);
        const headers = { 'content-type': 'application/json' };
        const times = { requestedAt, receivedAt: sources.now() };
        return { status, headers, setCookies: [], body: Buffer.from(JSON.stringify(body)), ...times, remoteAddress: undefined };
    };
    context = { ...contextOf({ egress: { request } } as unknown as Vendors, recording), sources };
});

test('the second token of an exchange is left for later', async () => {
    const [first] = recording.refresh!.calls;
    answers = [{ ms: 18 * second, status: 200, body: first!.response.body }];
    const receipt = await refreshTokenGrant(context, stored).present(stored, refreshTokenOf(stored), 20 * second);
    expect(receipt.further).toMatchObject({ user: { failure: { kind: 'transient' } } });
    expect(asked).toHaveLength(1);
});

test('a client that was registered anew at the last moment presents it at the next attempt', async () => {
    const client = (client_id: string): Client => ({ client_id, token_endpoint_auth_method: 'none', redirect_uris: [] });
    answers = [{ ms: 9 * second, status: 401, body: { error: 'invalid_client' } }];
    const clients = {
        // behind others, who wait for the same server
        renew: async () => {
            await sources.advance(30 * second);
            return client('new') as ClientRegistration;
        },
    } as unknown as RegisteredClients;
    const call = { url: new URL('https://as.example/token'), params: {}, bodyFormat: 'form', deadlineMs: 20 * second, secrets: [] } as const;
    const presenter = { client: client('old'), registration: { server: 'https://as.example', redirectUri: '' } as never };
    await expect(requestAsClient({ ...context, clients }, call, presenter)).rejects.toMatchObject({ kind: 'transient', isAmbiguous: false });
    expect(asked).toHaveLength(1);
});

test('a lease that is almost over is left to run out', async () => {
    answers = [];
    const grant = { credentials: stored, previousRefreshToken: async () => undefined, until: sources.now() + 2 * second };
    await expect(presentGrant(refreshTokenGrant(context, stored), grant, sources)).rejects.toMatchObject({ kind: 'transient' });
    expect(asked).toHaveLength(0);
});
