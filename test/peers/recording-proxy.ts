/** Passes requests on and keeps what went over the wire, both ways, so that a test can hold a client's typed result against it. */
import { request as send } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { listen, readBody } from './http-server.ts';

export interface Exchange {
    method: string;
    /** Path and query, as the client wrote them. */
    target: string;
    headers: NodeJS.Dict<string | string[]>;
    body: string;
    status: number;
    /** Decompressed. */
    answer: string;
}

export interface RecordingProxy {
    url: string;
    exchanges: Exchange[];
    close(): Promise<void>;
}

/** @param upstream an http URL without a path. */
export async function startRecordingProxy(upstream: () => string): Promise<RecordingProxy> {
    const exchanges: Exchange[] = [];
    const server = await listen((request, response) => {
        void (async () => {
            const body = await readBody(request);
            const { method = '', url: target = '', headers } = request;
            const passed = send(upstream() + target, { method, headers: { ...headers, host: new URL(upstream()).host } }, (answered) => {
                void (async () => {
                    const answer = await readBody(answered);
                    exchanges.push({
                        method,
                        target,
                        headers,
                        body: body.toString(),
                        status: answered.statusCode ?? 0,
                        answer: decoded(answered.headers['content-encoding'], answer),
                    });
                    response.writeHead(answered.statusCode ?? 502, answered.headers).end(answer);
                })();
            });
            passed.on('error', () => response.destroy());
            passed.end(body);
        })();
    });
    return { url: `http://127.0.0.1:${server.port}`, exchanges, close: () => server.close() };
}

const decoded = (coding: string | undefined, body: Buffer): string =>
    (coding === 'br' ? brotliDecompressSync(body) : coding === 'gzip' ? gunzipSync(body) : body).toString();
