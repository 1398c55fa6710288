/** What the operation log says of a connect attempt on its way, in our own words: what was begun, who answered, what was granted. */
import type { Obtained } from '../credentials/credential.ts';
import { refreshTokenOf } from '../credentials/credential.ts';
import { OperationRecord } from '../egress/operation-record.ts';
import type { Attempt } from './attempt.ts';
import type { ConnectContext } from './connect-session.ts';

/** The context of one attempt, whose owner writes the record with the outcome. */
export const recording = (context: ConnectContext): ConnectContext & { record: OperationRecord } => ({
    ...context,
    record: new OperationRecord(context.sources),
});

type Begun = Pick<Attempt, 'integration' | 'provider'>;

export const attemptBegun = ({ record }: ConnectContext, { integration, provider }: Begun, how: string): void =>
    record?.step(`Attempt begun: ${how}`, { meta: { integration: integration.unique_key, provider: provider.name, auth_mode: provider.authMode } });

export const browserSentTo = ({ record }: ConnectContext, location: string): void =>
    record?.step('Browser sent to the provider', { meta: { authorization_host: new URL(location).host } });

export function browserCameBack({ record }: ConnectContext, query: Readonly<Record<string, unknown>>): void {
    const isRefusal = query['error'] !== undefined;
    record?.step(isRefusal ? 'Browser came back with an error of the provider' : 'Browser came back from the provider', {
        level: isRefusal ? 'warn' : 'info',
    });
}

/** @param asked comma separated. Scopes are named only if they were asked for: an answer may say anything. */
export function accessGranted({ record }: ConnectContext, obtained: Obtained & { isPending?: boolean }, asked: string | null): void {
    record?.conceal(() => obtained.credentials);
    if (obtained.isPending === true) {
        record?.step('The provider has still to approve');
        return;
    }
    const missing = unansweredScopes(obtained, asked);
    record?.step('Access granted', {
        meta: {
            expires_at: obtained.expiresAt === null ? null : new Date(obtained.expiresAt).toISOString(),
            refresh_token: refreshTokenOf(obtained.credentials) !== undefined,
            // Some providers call them by other names than they were asked for.
            ...(missing.length === 0 ? {} : { scopes_not_in_answer: missing }),
        },
    });
}

function unansweredScopes({ credentials }: Obtained, asked: string | null): string[] {
    const answer: unknown = credentials.type === 'OAUTH2' ? credentials.raw?.['scope'] : undefined;
    // RFC 6749 §5.1: an answer is silent where nothing was left out.
    if (typeof answer !== 'string' || answer.trim() === '') {
        return [];
    }
    const granted = new Set(answer.split(/[\s,]+/));
    return (asked ?? '').split(/[\s,]+/).filter((scope) => scope !== '' && !granted.has(scope));
}

export function credentialsTaken({ record }: ConnectContext, obtained: Obtained): void {
    record?.conceal(() => obtained.credentials);
    if (obtained.unverified !== undefined) {
        record?.step(`The credentials could not be tested: ${obtained.unverified}`, { level: 'warn' });
    } else if (record?.hasCalls === true) {
        record.step('The provider accepted the credentials');
    } else {
        record?.step('The credentials were taken as they are: there is nothing to test them with');
    }
}
