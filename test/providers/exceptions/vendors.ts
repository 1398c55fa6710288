/** Plays recorded answers back over real HTTP, and compares what was asked with what was recorded. */
import { expect } from 'vitest';
import { createEgress, type Egress } from '../../../src/egress/egress.ts';
import type { Sources } from '../../../src/sources.ts';
import { listen, readBody } from '../../peers/http-server.ts';
import { virtualSources } from '../../virtual-sources.ts';

export interface RecordedRequest {
    method: string;
    url: string;
    /** All that matter: the content type and authorization that are not here must not be sent. */
    headers?: Record<string, string>;
    /** At most one; none: no body. */
    form?: Record<string, string>;
    json?: Record<string, unknown>;
    text?: string;
}

export interface RecordedCall {
    request: RecordedRequest;
    response: { status: number; body: unknown; headers?: Record<string, string> };
}

export interface Vendors {
    egress: Egress;
    /** The requests of the next test, in order. */
    expectCalls(calls: readonly RecordedCall[]): void;
    /** Whatever was asked meanwhile, as it came. @throws when it is not what was expected */
    verify(): Seen[];
    close(): Promise<void>;
}

export interface Seen {
    method: string;
    url: URL;
    headers: Record<string, string>;
    body: string;
}

export const now = Date.parse('2026-05-01T12:00:00.000Z');

/** Time stands still, and every random byte is 7. */
export const fixedSources: Sources = { ...virtualSources(now), random: (size) => Buffer.alloc(size, 7) };

/** One server that stands for every vendor's host: the way to it is bent, the request is real. */
export async function startVendors(): Promise<Vendors> {
    let expected: readonly RecordedCall[] = [];
    let seen: Seen[] = [];
    const server = await listen((request, response) => {
        void readBody(request).then((body) => {
            const headers = request.headers as Record<string, string>;
            seen.push({ method: request.method!, url: new URL(request.url!, headers['x-vendor-origin']), headers, body: body.toString() });
            const answer = expected[seen.length - 1]?.response ?? { status: 599, body: { error: 'nothing more was recorded' } };
            const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
            response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(text);
        });
    });
    const real = createEgress({ allow: ['127.0.0.0/8'], sources: fixedSources, userAgent: 'test' });
    const egress: Egress = {
        ...real,
        request: (request) => {
            const { origin, pathname, search } = new URL(request.url);
            const url = `http://127.0.0.1:${server.port}${pathname}${search}`;
            return real.request({ ...request, url, headers: { ...request.headers, 'x-vendor-origin': origin } });
        },
    };
    return {
        egress,
        expectCalls: (calls) => {
            expected = calls;
            seen = [];
        },
        verify: () => {
            expect(seen.map(({ method, url }) => `${method} ${url.href}`)).toEqual(expected.map(({ request }) => `${request.method} ${request.url}`));
            seen.forEach((request, index) => expectRequest(request, expected[index]!.request));
            return seen;
        },
        close: async () => {
            await real.close();
            await server.close();
        },
    };
}

function expectRequest(seen: Seen, recorded: RecordedRequest): void {
    const { 'content-type': contentType, authorization, ...others } = recorded.headers ?? {};
    expect([seen.headers['content-type'], seen.headers['authorization']], seen.url.href).toEqual([contentType, authorization]);
    expect(seen.headers).toMatchObject({ accept: 'application/json', ...others });
    if (recorded.form !== undefined) {
        const pairs = [...new URLSearchParams(seen.body)];
        // a name twice would be lost in an object
        expect(pairs.length).toBe(Object.keys(recorded.form).length);
        expect(withoutAssertion(Object.fromEntries(pairs))).toEqual(recorded.form);
    } else if (recorded.json !== undefined) {
        expect(JSON.parse(seen.body)).toEqual(recorded.json);
    } else {
        expect(seen.body).toBe(recorded.text ?? '');
    }
}

/** Signed anew each time; the test of its provider verifies it. */
const withoutAssertion = (form: Record<string, string>): Record<string, string> =>
    form['client_assertion'] === undefined ? form : { ...form, client_assertion: '{{assertion}}' };
