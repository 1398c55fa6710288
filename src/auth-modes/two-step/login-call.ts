/** One call of a login: what an entry says about it, filled in, sent, and answered with success or a TokenFailure. */
import { isObject } from '../../credentials/json-path.ts';
import { classify, safeText } from '../../credentials/token-failure.ts';
import { EgressError, type Egress, type EgressResponse } from '../../egress/egress.ts';
import { parseRetryAfter } from '../../egress/retry-after.ts';
import type { Headers, ValueTrees } from '../../providers/mode-keys.ts';
import { interpolate, interpolateTree, type ExpressionValues, type ValueTree } from '../../providers/value-template.ts';
import { shapesOf, unanswered } from '../token-endpoint.ts';
import { complaintIn, readLoginAnswer, textsIn } from './login-answer.ts';
import { loginFailed, LoginRefused } from './login-failure.ts';
import { writeXml } from './xml.ts';

/** As the catalogue describes it. */
export interface CallShape {
    method: 'GET' | 'POST';
    headers: Headers | undefined;
    params: ValueTrees | undefined;
    bodyFormat: 'json' | 'form' | 'xml';
}

export interface LoginCall {
    /** What a person calls it, such as "the login" or "step 2 of the login". */
    name: string;
    displayName: string;
    url: URL;
    shape: CallShape;
    values: ExpressionValues;
    deadlineMs: number;
    /** Values that must not appear in an error; what the call makes of them is added. */
    secrets: string[];
}

/** @throws LoginRefused, TokenFailure on anything but a 2xx answer */
export async function callLogin(egress: Egress, call: LoginCall): Promise<EgressResponse> {
    const { url, shape, values } = call;
    const params = interpolateTree(shape.params ?? {}, values) as Readonly<Record<string, ValueTree>> | undefined;
    const given = filledHeaders(shape.headers ?? {}, values);
    const content = shape.method === 'GET' ? undefined : bodyOf(shape, params ?? {}, given['content-type']);
    call.secrets.push(
        ...derived(params, shape.params),
        ...derived(given, shape.headers).flatMap((text) => [text, ...text.split(' ')]),
        url.search.slice(1),
    );
    const response = await send(egress, call, {
        url,
        method: shape.method,
        headers: { accept: 'application/json, text/plain, */*', ...(content?.type === undefined ? {} : { 'content-type': content.type }), ...given },
        ...(content === undefined ? {} : { body: content.body }),
        deadlineMs: call.deadlineMs,
    });
    if (response.status >= 200 && response.status < 300) return response;
    throw refusal(call, response);
}

/** Names in lower case. A header whose value does not resolve is left out: an optional credential was not given. */
const filledHeaders = (headers: Headers, values: ExpressionValues): Record<string, string> =>
    Object.fromEntries(
        Object.entries(headers).flatMap(([name, template]) => {
            const value = interpolate(template, values);
            return value === undefined ? [] : [[name.toLowerCase(), value]];
        }),
    );

/** Without declared parameters there is nothing to send, unless the entry itself announces JSON, of which nothing is not any. */
function bodyOf({ bodyFormat, params }: CallShape, filled: Readonly<Record<string, ValueTree>>, announced: string | undefined) {
    switch (bodyFormat) {
        case 'form':
            return { type: 'application/x-www-form-urlencoded', body: new URLSearchParams(flattened(filled)).toString() };
        case 'xml':
            return { type: 'application/xml', body: writeXml(filled) };
        case 'json':
            if (params === undefined && announced === undefined) return undefined;
            return { type: 'application/json', body: JSON.stringify(filled) };
    }
}

/** Nested parameters of a form in the bracket notation that form parsers share. */
const flattened = (tree: Readonly<Record<string, ValueTree>>, prefix = ''): [string, string][] =>
    Object.entries(tree).flatMap(([name, value]): [string, string][] => {
        const key = prefix === '' ? name : `${prefix}[${name}]`;
        return typeof value === 'object' && value !== null
            ? flattened(value as Readonly<Record<string, ValueTree>>, key)
            : [[key, String(value ?? '')]];
    });

type Outgoing = Parameters<Egress['request']>[0];

async function send(egress: Egress, { name, displayName }: LoginCall, request: Outgoing): Promise<EgressResponse> {
    try {
        return await egress.request(request);
    } catch (error) {
        if (!(error instanceof EgressError)) throw error;
        if (error.code === 'invalid_header') {
            throw new LoginRefused('unknown', 'A credential holds characters that cannot be sent in a header.');
        }
        const what = unanswered[error.code] ?? 'could not be reached';
        throw loginFailed('transient', `${displayName} ${what} (${error.code}) during ${name}; the credentials were not judged.`, {
            isAmbiguous: !error.neverSent,
        });
    }
}

function refusal({ name, displayName, secrets }: LoginCall, response: EgressResponse): Error {
    const { status, headers } = response;
    if (status >= 300 && status < 400) {
        return loginFailed('unknown', `${displayName} answered ${name} with a redirect (${status}), which is never followed.`);
    }
    const answer = readLoginAnswer({ contentType: headers['content-type'] ?? '', body: response.body.toString('utf8') });
    const code = isObject(answer) && typeof answer['error'] === 'string' ? answer['error'] : undefined;
    const kind = classify(status, code);
    const said = safeText(complaintIn(answer), secrets.flatMap(shapesOf));
    const words = `it answered ${status}${said === '' ? '' : ` (${said})`} to ${name}`;
    return kind === 'transient'
        ? loginFailed(kind, `${displayName} is not available, or asks for patience: ${words}.`, {
              code,
              retryAfterMs: parseRetryAfter(headers['retry-after'], response.receivedAt),
          })
        : new LoginRefused(kind, `${displayName} refused these credentials: ${words}.`, { code });
}

/** Texts that came of expressions: a digest or a pair of secrets is one too. */
function derived(filled: unknown, template: unknown): string[] {
    const literal = new Set(textsIn(template));
    return textsIn(filled).filter((text) => !literal.has(text));
}
