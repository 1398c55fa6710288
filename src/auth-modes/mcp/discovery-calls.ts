/**
 * The calls of one discovery: to addresses that a person typed in, or that an answer from there names. Few, short, together no
 * longer than a person waits; never past the egress policy (N4, RFC 9728 §7.7), and never on to another origin.
 */
import { EgressError, type Egress, type EgressResponse } from '../../egress/egress.ts';
import type { Sources } from '../../sources.ts';
import { ConnectFailure } from '../auth-mode.ts';
import { parseJsonObject, type JsonObject } from './json-document.ts';

const callMs = 5_000;
const discoveryMs = 20_000;
const mostCalls = 16;
const mostRedirects = 2;

export class DiscoveryCalls {
    readonly #egress: Egress;
    readonly #sources: Sources;
    readonly #until: number;
    #made = 0;

    constructor({ egress, sources }: { egress: Egress; sources: Sources }) {
        this.#egress = egress;
        this.#sources = sources;
        this.#until = sources.now() + discoveryMs;
    }

    /** The JSON object at an address; `undefined`: there is none. @throws ConnectFailure when the address may not be called */
    async document(url: string): Promise<JsonObject | undefined> {
        const response = await this.get(url, { accept: 'application/json' });
        return response?.status === 200 ? parseJsonObject(response) : undefined;
    }

    /** `undefined`: no answer. @throws ConnectFailure when the address may not be called */
    async get(url: string, options: { accept: string; isBodyIgnored?: boolean }): Promise<EgressResponse | undefined> {
        let target = url;
        for (let redirects = 0; ; redirects++) {
            const response = await this.#call(target, options);
            const next = response && onSameOrigin(target, response);
            if (next === undefined || redirects === mostRedirects) {
                return response;
            }
            target = next;
        }
    }

    async #call(url: string, { accept, isBodyIgnored }: { accept: string; isBodyIgnored?: boolean }): Promise<EgressResponse | undefined> {
        const timeLeft = this.#until - this.#sources.now();
        if (timeLeft <= 0 || this.#made >= mostCalls) {
            return undefined;
        }
        this.#made += 1;
        try {
            return await this.#egress.request({
                url,
                headers: { accept },
                deadlineMs: Math.min(callMs, timeLeft),
                ...(isBodyIgnored ? { maxResponseBytes: 0, oversize: 'truncate' as const } : {}),
            });
        } catch (error) {
            if (!(error instanceof EgressError)) {
                throw error;
            }
            if (error.code === 'blocked_by_policy' || error.code === 'invalid_url') {
                throw notCallable('An address that the MCP server depends on');
            }
            return undefined;
        }
    }
}

/** @throws ConnectFailure unless it is an absolute address that may be called */
export function assertCallable(egress: Egress, url: string, what: string, type?: string): void {
    const parsed = URL.parse(url);
    if (parsed === null || parsed.hash !== '' || url.includes('#')) {
        throw new ConnectFailure(type ?? 'provider_config_err', `${what} is not an absolute URL without a fragment.`);
    }
    try {
        egress.assertUrl(url);
    } catch (error) {
        throw error instanceof EgressError ? notCallable(what, type) : error;
    }
}

const notCallable = (what: string, type = 'provider_config_err'): ConnectFailure =>
    new ConnectFailure(type, `${what} may not be called: it must be https and public, or its host must be listed in VALETKEY_EGRESS_ALLOW.`);

function onSameOrigin(from: string, { status, headers }: EgressResponse): string | undefined {
    const target = status >= 300 && status < 400 && headers['location'] !== undefined ? URL.parse(headers['location'], from) : null;
    return target?.origin === new URL(from).origin ? target.href : undefined;
}
