/** A hook's world without a network: answers in the order of its calls, and what it asked. */
import type { Credentials } from '../../../src/credentials/credential.ts';
import { EgressError } from '../../../src/egress/egress.ts';
import type { HookAnswer, HookCall, HookContext } from '../../../src/providers/hooks/hook.ts';
import type { ProviderEntry } from '../../../src/providers/provider.ts';
import { systemSources } from '../../../src/sources.ts';
import { makeProvider } from '../make-provider.ts';

/** `status` alone, `[status, body]`, or no answer at all. */
export type Recorded = number | readonly [status: number, body: unknown] | 'silence';

export interface Surroundings {
    provider?: string;
    entry?: Partial<ProviderEntry>;
    credentials?: Credentials;
    config?: Record<string, unknown>;
    clientId?: string;
    clientSecret?: string;
}

export const oauth2 = (access_token = 'the-access-token', raw: Record<string, unknown> = {}): Credentials => ({
    type: 'OAUTH2',
    access_token,
    refresh_token: 'the-refresh-token',
    raw,
});
export const basic: Credentials = { type: 'BASIC', username: 'the-user', password: 'the-<password>&' };

export const tokenWith = (claims: unknown): string => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

export function recorded(answers: readonly Recorded[], given: Surroundings = {}): { context: HookContext; calls: HookCall[] } {
    const calls: HookCall[] = [];
    const left = [...answers];
    const context: HookContext = {
        provider: { name: given.provider ?? 'acme', configRules: makeProvider(given.entry).configRules },
        credentials: given.credentials ?? oauth2(),
        connectionConfig: given.config ?? {},
        clientId: given.clientId ?? null,
        clientSecret: given.clientSecret ?? null,
        sources: { ...systemSources, now: () => Date.UTC(2026, 0, 1) },
        call: (call) => {
            calls.push(call);
            const answer = left.shift();
            if (answer === undefined) throw new Error(`unexpected call of ${call.endpoint}`);
            if (answer === 'silence') return Promise.reject(new EgressError('connect_timeout', 'acme.example', { neverSent: true }));
            const [status, body] = typeof answer === 'number' ? [answer, ''] : answer;
            return Promise.resolve({ status, headers: {}, body } satisfies HookAnswer);
        },
    };
    return { context, calls };
}

export const asked = (calls: readonly HookCall[]): string[] =>
    calls.map(({ method = 'GET', baseUrl = '', endpoint }) => `${method} ${baseUrl}${endpoint}`);
