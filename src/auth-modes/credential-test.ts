/** Tests typed-in credentials against the provider before they are kept (auth-modes §17.1): the first 2xx proves them. */
import { EgressError } from '../egress/egress.ts';
import { TemplateError } from '../providers/url-template.ts';
import { verificationRequests, type VerificationRequest } from '../providers/verification-request.ts';
import { ConnectFailure, type ModeContext } from './auth-mode.ts';

const testMs = 15_000;

/** Headers that depend on the finished request. */
export type Sign = (request: VerificationRequest) => Record<string, string>;

/** @throws ConnectFailure `url_param_err` */
function prepareRequests(input: ModeContext, credentials: Record<string, string>): VerificationRequest[] {
    try {
        return verificationRequests(input.provider, { credentials, connectionConfig: input.connectionConfig });
    } catch (error) {
        if (error instanceof TemplateError) {
            throw new ConnectFailure(
                'url_param_err',
                `The connection parameter "${error.field}" is ${error.code === 'missing_value' ? 'missing' : 'not valid'}.`,
            );
        }
        throw error;
    }
}

/** Providers without a verification accept what is typed. @throws ConnectFailure `connection_test_failed` */
export async function testCredentials(input: ModeContext, credentials: Record<string, string>, sign?: Sign): Promise<void> {
    const requests = prepareRequests(input, credentials);
    if (requests.length === 0) {
        return;
    }
    const answers: string[] = [];
    for (const request of requests) {
        try {
            const { status } = await input.egress.request({
                method: request.method,
                url: request.url,
                headers: sign === undefined ? request.headers : { ...request.headers, ...sign(request) },
                ...(request.body === undefined ? {} : { body: request.body }),
                deadlineMs: testMs,
                maxRedirects: 0,
            });
            if (status >= 200 && status < 300) {
                return;
            }
            answers.push(String(status));
        } catch (error) {
            if (!(error instanceof EgressError)) {
                throw error;
            }
            answers.push(error.code);
        }
    }
    const isRefusal = answers.some((answer) => answer === '401' || answer === '403');
    throw new ConnectFailure(
        'connection_test_failed',
        isRefusal
            ? `${input.provider.displayName} rejected these credentials.`
            : `${input.provider.displayName} did not confirm these credentials (${answers.join(', ')}). If they are right, try again in a few minutes.`,
    );
}
