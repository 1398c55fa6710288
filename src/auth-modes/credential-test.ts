/**
 * Tests typed-in credentials against the provider before they are kept (auth-modes §17.1): by the entry's script where it names
 * one, else by its calls, of which the first 2xx proves them.
 */
import type { Credentials, Obtained } from '../credentials/credential.ts';
import { EgressError, type EgressErrorCode } from '../egress/egress.ts';
import { ApiRequestError, type ApiRequest } from '../providers/api-request.ts';
import type { VerificationScript } from '../providers/hooks/hook.ts';
import { verificationScripts } from '../providers/hooks/index.ts';
import { TemplateError } from '../providers/url-template.ts';
import { verificationCalls } from '../providers/verification-request.ts';
import { ConnectFailure, type ModeContext } from './auth-mode.ts';
import { authenticatedRequest, requestValues } from './authenticated-request.ts';
import { parameterFailure } from './fill-template.ts';
import { hookContext, hookFailureText } from './hook-context.ts';

const testMs = 15_000;
/** Only the status counts. */
const readBytes = 4096;

/** `unverified`: the provider said nothing about the credentials, so that trying again is worth it (A3). */
export type Tested = Pick<Obtained, 'unverified'>;

const tested: Tested = {};

/**
 * Providers without a verification accept what is typed. Whether credentials that nobody confirmed are kept is for the caller to say.
 * @throws ConnectFailure `connection_test_failed`, `url_param_err`
 */
export async function testCredentials(context: ModeContext, credentials: Credentials): Promise<Tested> {
    const script = verificationScripts.get(String(context.provider.entry['credentials_verification_script']));
    if (script !== undefined) {
        return testByScript(script, context, credentials);
    }
    const requests = await prepareRequests(context, credentials);
    if (requests.length === 0) {
        return tested;
    }
    const answers: (number | EgressErrorCode)[] = [];
    for (const request of requests) {
        const answer = await ask(context, request);
        if (typeof answer === 'number' && answer >= 200 && answer < 300) {
            return tested;
        }
        answers.push(answer);
    }
    const { displayName } = context.provider;
    if (answers.every(isSilence)) {
        return silence(displayName, answers.join(', '));
    }
    throw new ConnectFailure(
        'connection_test_failed',
        answers.includes(401) || answers.includes(403)
            ? `${displayName} rejected these credentials.`
            : `${displayName} did not confirm these credentials (${answers.join(', ')}).`,
    );
}

async function testByScript(script: VerificationScript, context: ModeContext, credentials: Credentials): Promise<Tested> {
    const { displayName } = context.provider;
    try {
        const verdict = await script(hookContext(context, credentials));
        if (verdict === 'rejected') {
            throw new ConnectFailure('connection_test_failed', `${displayName} rejected these credentials.`);
        }
        return verdict === 'accepted' ? tested : silence(displayName);
    } catch (error) {
        if (error instanceof EgressError && isSilence(error.code)) {
            return silence(displayName, error.code);
        }
        const text = hookFailureText(error);
        throw text === undefined
            ? error
            : new ConnectFailure('connection_test_failed', `${displayName} did not confirm these credentials (${text}).`);
    }
}

const silence = (displayName: string, answers?: string): Tested => ({
    unverified: `${displayName} could not be asked about these credentials${answers === undefined ? '' : ` (${answers})`}.`,
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
async function ask({ egress }: ModeContext, { body, ...request }: ApiRequest): Promise<number | EgressErrorCode> {
    try {
        const { status } = await egress.request({
            ...request,
            ...(body === undefined ? {} : { body }),
            deadlineMs: testMs,
            maxResponseBytes: readBytes,
            oversize: 'truncate',
            maxRedirects: 0,
        });
        return status;
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
