/**
 * Tests typed-in credentials against the provider before they are kept (auth-modes §17.1): by the entry's script where it names
 * one, else by its calls, of which the first 2xx proves them.
 */
import type { Credentials, Obtained } from '../credentials/credential.ts';
import { EgressError, type EgressErrorCode } from '../egress/egress.ts';
import { parseRetryAfter } from '../egress/retry-after.ts';
import { ApiRequestError, type ApiRequest } from '../providers/api-request.ts';
import type { VerificationScript } from '../providers/hooks/hook.ts';
import { verificationScripts } from '../providers/hooks/index.ts';
import type { Provider } from '../providers/provider.ts';
import { TemplateError } from '../providers/url-template.ts';
import { verificationCalls } from '../providers/verification-request.ts';
import { ConnectFailure, type ModeContext } from './auth-mode.ts';
import { authenticatedRequest, requestValues } from './authenticated-request.ts';
import { parameterFailure } from './fill-template.ts';
import { hookContext, hookFailureText } from './hook-context.ts';

const testMs = 15_000;
/** Only the status counts. */
const readBytes = 4096;

/** `doubt` is an answer that neither proves the credentials nor refuses them. */
export class CredentialTestFailure extends ConnectFailure {
    readonly says: 'refusal' | 'doubt';
    readonly retryAfterMs: number | undefined;

    constructor(says: CredentialTestFailure['says'], message: string, retryAfterMs?: number) {
        super('connection_test_failed', message);
        this.says = says;
        this.retryAfterMs = retryAfterMs;
    }
}

const scriptOf = ({ entry }: Provider): VerificationScript | undefined => verificationScripts.get(String(entry['credentials_verification_script']));

/** Whether there is a way to find out if credentials are right. */
export const isTestable = (provider: Provider): boolean => scriptOf(provider) !== undefined || provider.verification !== undefined;

/** `unverified`: the provider said nothing about the credentials, so that trying again is worth it (A3). */
export type Tested = Pick<Obtained, 'unverified' | 'retryAfterMs'>;

const tested: Tested = {};

/**
 * Providers without a verification accept what is typed. Whether credentials that nobody confirmed are kept is for the caller to say.
 * @throws ConnectFailure `connection_test_failed`, `url_param_err`
 */
export async function testCredentials(context: ModeContext, credentials: Credentials): Promise<Tested> {
    const script = scriptOf(context.provider);
    if (script !== undefined) {
        return testByScript(script, context, credentials);
    }
    const requests = await prepareRequests(context, credentials);
    if (requests.length === 0) {
        return tested;
    }
    const answers: (number | EgressErrorCode)[] = [];
    const patience = new Patience();
    for (const request of requests) {
        const answer = await ask(context, request, patience);
        if (typeof answer === 'number' && answer >= 200 && answer < 300) {
            return tested;
        }
        answers.push(answer);
    }
    const { displayName } = context.provider;
    if (answers.every(isSilence)) {
        return silence(displayName, patience, answers.join(', '));
    }
    throw answers.includes(401) || answers.includes(403)
        ? new CredentialTestFailure('refusal', `${displayName} rejected these credentials.`, patience.ms)
        : new CredentialTestFailure('doubt', `${displayName} did not confirm these credentials (${answers.join(', ')}).`, patience.ms);
}

/** The longest that any answer asks for (R5, RFC 9110 §10.2.3). */
class Patience {
    ms: number | undefined;

    note({ headers }: { headers: Readonly<Record<string, string>> }, now: number): void {
        const asked = parseRetryAfter(headers['retry-after'], now);
        this.ms = asked === undefined ? this.ms : Math.max(asked, this.ms ?? 0);
    }
}

async function testByScript(script: VerificationScript, context: ModeContext, credentials: Credentials): Promise<Tested> {
    const { displayName } = context.provider;
    const hook = hookContext(context, credentials);
    const patience = new Patience();
    const call: typeof hook.call = async (wanted) => {
        const answer = await hook.call(wanted);
        patience.note(answer, context.sources.now());
        return answer;
    };
    try {
        const verdict = await script({ ...hook, call });
        if (verdict === 'rejected') {
            throw new CredentialTestFailure('refusal', `${displayName} rejected these credentials.`, patience.ms);
        }
        return verdict === 'accepted' ? tested : silence(displayName, patience);
    } catch (error) {
        if (error instanceof EgressError && isSilence(error.code)) {
            return silence(displayName, patience, error.code);
        }
        const text = hookFailureText(error);
        throw text === undefined
            ? error
            : new CredentialTestFailure('doubt', `${displayName} did not confirm these credentials (${text}).`, patience.ms);
    }
}

const silence = (displayName: string, { ms: retryAfterMs }: Patience, answers?: string): Tested => ({
    unverified: `${displayName} could not be asked about these credentials${answers === undefined ? '' : ` (${answers})`}.`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

async function prepareRequests(context: ModeContext, credentials: Credentials): Promise<ApiRequest[]> {
    try {
        const calls = verificationCalls(context.provider, requestValues(context, credentials));
        return await Promise.all(calls.map((call) => authenticatedRequest(context, credentials, call)));
    } catch (error) {
        if (error instanceof TemplateError) {
            throw parameterFailure(error);
        }
        throw error instanceof ApiRequestError ? new ConnectFailure('url_param_err', error.message) : error;
    }
}

/** @returns the status, or why there is none */
async function ask({ egress }: ModeContext, { body, ...request }: ApiRequest, patience: Patience): Promise<number | EgressErrorCode> {
    try {
        const answer = await egress.request({
            ...request,
            ...(body === undefined ? {} : { body }),
            deadlineMs: testMs,
            maxResponseBytes: readBytes,
            oversize: 'truncate',
            maxRedirects: 0,
        });
        patience.note(answer, answer.receivedAt);
        return answer.status;
    } catch (error) {
        if (!(error instanceof EgressError)) {
            throw error;
        }
        return error.code;
    }
}

/** A call that could not be made as it is will not be made by trying again. */
const flawed: ReadonlySet<EgressErrorCode> = new Set(['invalid_url', 'invalid_header', 'blocked_by_policy', 'redirect_refused']);

/** Overload, an outage, or a network that does not get there say nothing about credentials. */
const isSilence = (answer: number | EgressErrorCode): boolean => (typeof answer === 'number' ? answer === 429 || answer >= 500 : !flawed.has(answer));
