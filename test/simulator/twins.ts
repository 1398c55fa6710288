/** Twins over HTTP, of entries that a test writes down. Requests are made by hand: none of Valetkey's own code speaks to them here. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { buildTwinServer } from '../../src/simulator/server.ts';
import { Simulator } from '../../src/simulator/simulator.ts';
import { systemSources } from '../../src/sources.ts';

export interface Reply {
    status: number;
    headers: Record<string, string>;
    text: string;
    // oxlint-disable-next-line typescript/no-explicit-any -- what a vendor answers is looked at, not typed
    body: any;
}

export interface Twins {
    origin: string;
    simulator: Simulator;
    /** A call as Valetkey's egress hands it over. */
    call(url: string, init?: { method?: string; headers?: Record<string, string>; body?: string }): Promise<Reply>;
    form(url: string, params: Record<string, string>, headers?: Record<string, string>): Promise<Reply>;
    json(url: string, body: unknown, headers?: Record<string, string>): Promise<Reply>;
    get(url: string, headers?: Record<string, string>): Promise<Reply>;
    /** The control API. */
    control(path: string, body: unknown): Promise<Reply>;
    fault(fault: string, provider?: string, on?: boolean): Promise<Reply>;
    advance(ms: number): void;
    now(): number;
}

export const callback = 'http://localhost:3003/oauth/callback';

export async function startTwins(entries: Record<string, unknown>): Promise<Twins> {
    const directory = await mkdtemp(join(tmpdir(), 'valetkey-twins-'));
    const file = join(directory, 'providers.json');
    await writeFile(file, JSON.stringify(named(entries)));
    let offset = 0;
    const sources = { ...systemSources, now: () => Date.now() + offset, sleep: () => Promise.resolve() };
    const simulator = await Simulator.open({ sources, catalogueFiles: [file], valetkeyUrl: 'http://localhost:3003' });
    const server = buildTwinServer(simulator);
    await server.listen({ host: '127.0.0.1', port: 0 });
    onTestFinished(async () => {
        await server.close();
        await rm(directory, { recursive: true });
    });
    const { port } = server.server.address() as AddressInfo;
    const origin = `http://127.0.0.1:${port}`;
    const call: Twins['call'] = (url, init = {}) => {
        const target = new URL(url);
        const path = url.slice(target.origin.length) || '/';
        return send(port, path, { ...init, headers: { 'x-simulated-origin': target.origin, ...init.headers } });
    };
    const post = (type: string, url: string, body: string, headers?: Record<string, string>): Promise<Reply> =>
        call(url, { method: 'POST', headers: { 'content-type': type, ...headers }, body });
    const control: Twins['control'] = (path, body) =>
        send(port, path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return {
        origin,
        simulator,
        call,
        form: (url, params, headers) => post('application/x-www-form-urlencoded', url, new URLSearchParams(params).toString(), headers),
        json: (url, body, headers) => post('application/json', url, JSON.stringify(body), headers),
        get: (url, headers) => call(url, headers === undefined ? {} : { headers }),
        control,
        fault: (fault, provider = '*', on = true) => control('/_twin/faults', { provider, fault, on }),
        advance: (ms) => (offset += ms),
        now: () => Date.now() + offset,
    };
}

/** A display name and a category, where a test does not care. */
const named = (entries: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(entries).map(([slug, entry]) => [slug, { display_name: slug, categories: ['other'], ...(entry as object) }]));

/** By hand: fetch follows, decodes and adds too much. */
export function send(port: number, path: string, init: { method?: string; headers?: Record<string, string>; body?: string }): Promise<Reply> {
    return new Promise((resolve, reject) => {
        const request = httpRequest({ host: '127.0.0.1', port, path, method: init.method ?? 'GET', headers: init.headers }, (response) => {
            let text = '';
            response.on('data', (chunk: Buffer) => (text += chunk.toString()));
            response.on('end', () => {
                const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, [value].flat().join(', ')]));
                resolve({ status: response.statusCode!, headers, text, body: parse(text) });
            });
        });
        request.on('error', reject);
        request.end(init.body);
    });
}

function parse(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

export const basic = (user: string, password: string): { authorization: string } => ({
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

/** RFC 7636 appendix B. */
export const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
export const challenge = createHash('sha256').update(verifier).digest('base64url');
export const pkce = { code_challenge: challenge, code_challenge_method: 'S256' };

/** Where the person is sent after the decision. */
export async function decide(twins: Twins, url: string, params: Record<string, string>, decision = 'approve'): Promise<URL> {
    const reply = await twins.get(`${url}?${new URLSearchParams({ ...params, _decision: decision }).toString()}`);
    if (reply.status !== 302) throw new Error(`The authorization request was refused: ${reply.text}`);
    return new URL(reply.headers['location']!);
}

export const request = (slug: string, more: Record<string, string> = {}): Record<string, string> => ({
    response_type: 'code',
    client_id: `${slug}.twin`,
    redirect_uri: callback,
    state: 'state-1',
    ...more,
});

export async function codeOf(twins: Twins, url: string, params: Record<string, string>): Promise<string> {
    return (await decide(twins, url, params)).searchParams.get('code')!;
}
