/**
 * The calls that prove credentials before they are stored (auth-modes contract 17.1). Only what to send: the caller sends them in
 * order until one answers 2xx.
 */
import { filled, lowerCased, type ApiCall } from './api-request.ts';
import { bodyText } from './api-body.ts';
import type { Provider } from './provider.ts';
import { interpolateTree } from './value-template.ts';
import type { ExpressionValues } from './value-template.ts';

/**
 * One call per endpoint of `proxy.verification`; none if the entry has no such block, and then nothing can be tested.
 * @throws TemplateError when a value of the URL is missing or does not fit.
 */
export function verificationCalls(provider: Provider, values: ExpressionValues & { connectionConfig: Readonly<Record<string, unknown>> }): ApiCall[] {
    const { verification } = provider;
    if (!verification) return [];
    const { method, data } = verification;
    const headers = filled(lowerCased(verification.headers), values);
    const contentType = headers['content-type'] ?? lowerCased(provider.entry.proxy?.headers ?? {})['content-type'];
    const members = data && interpolateTree(data, values);
    const body = data === undefined || method === 'GET' ? {} : { body: bodyText((members ?? {}) as Readonly<Record<string, unknown>>, contentType) };
    return verification.urls.map((template) => ({ method, endpoint: template.build(values), headers, ...body }));
}
