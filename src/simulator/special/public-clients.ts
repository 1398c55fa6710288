/** heygen, posthog-oauth, attio-mcp: a client id and a verifier, never a secret. mercury: not even the id. */
import { tokenUrlOf, type Entry } from '../entry.ts';
import { invalidClient } from '../refusal.ts';
import { forbidden } from '../twin-request.ts';
import { codeOrRefresh, exchangeCode, exchangeRefreshToken, plainToken, type Special } from './special.ts';
import type { Call, Endpoint } from '../twin.ts';

const withoutSecret =
    (client: 'public' | ((call: Call, params: unknown, clientId: string) => { id: string; secret: undefined })): Special =>
    (entry: Entry): Endpoint[] => {
        const refresh = async (call: Call) => plainToken(await exchangeRefreshToken(call, { format: 'form', client }));
        const code = async (call: Call) => plainToken(await exchangeCode(call, { format: 'form', client }));
        return [
            { kind: 'token', url: tokenUrlOf(entry), handle: codeOrRefresh('form', { code, refresh }) },
            ...(entry.refresh_url === undefined ? [] : [{ kind: 'refresh' as const, url: entry.refresh_url, handle: refresh }]),
        ];
    };

export const publicClient = withoutSecret('public');

export const mercury: Special = (entry) =>
    withoutSecret((call, params, clientId) => {
        assertSilent(call, params as Record<string, unknown>);
        return { id: clientId, secret: undefined };
    })(entry);

function assertSilent({ request }: Call, params: Readonly<Record<string, unknown>>): void {
    if (request.headers['authorization'] !== undefined) throw invalidClient('This provider wants no client authentication at all.');
    forbidden(params, 'client_id', 'client_secret');
}
