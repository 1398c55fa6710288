/** Questions to the API of a provider whose apps are installed, as GitHub's REST API answers them: by the app, or for a person. */
import { classify, TokenFailure } from '../credentials/token-failure.ts';
import { EgressError, type Egress } from '../egress/egress.ts';
import type { ModeContext } from './auth-mode.ts';
import { buildUrl } from './fill-template.ts';

const callMs = 15_000;
const perPage = 100;
/** A person with more installations of one app than fit on these is asked to choose among fewer. */
const mostPages = 20;

/** @returns any answer that says something about what was asked. @throws TokenFailure when nobody answered, or not now */
export async function askApi(egress: Egress, url: URL, bearer: string): Promise<{ status: number; body: Record<string, unknown> }> {
    try {
        const response = await egress.request({
            url,
            headers: { accept: 'application/vnd.github.v3+json', authorization: `Bearer ${bearer}` },
            deadlineMs: callMs,
        });
        const kind = classify(response.status, undefined);
        if (kind === 'transient') {
            throw new TokenFailure('transient', `The provider's API answered ${response.status}; try again in a few minutes.`);
        }
        return { status: response.status, body: objectIn(response.body.toString('utf8')) };
    } catch (error) {
        if (error instanceof EgressError) {
            throw new TokenFailure('transient', `The provider's API could not be reached (${error.code}).`);
        }
        throw error;
    }
}

/** Whether the person may use this installation of the app (S13). @throws TokenFailure */
export async function isInstallationOf(context: ModeContext, accessToken: string, installationId: string): Promise<boolean> {
    for (let page = 1; page <= mostPages; page += 1) {
        const url = apiUrl(context, '/user/installations');
        url.search = new URLSearchParams({ per_page: String(perPage), page: String(page) }).toString();
        const { status, body } = await askApi(context.egress, url, accessToken);
        const listed = body['installations'];
        if (status !== 200 || !Array.isArray(listed)) {
            throw new TokenFailure('unknown', `The provider's API did not list the installations of this person (${status}).`);
        }
        if (listed.some((installation: { id?: unknown } | null) => String(installation?.id) === installationId)) {
            return true;
        }
        if (listed.length < perPage) {
            return false;
        }
    }
    return false;
}

/** The person's name at the provider. @throws TokenFailure */
export async function loginOf(context: ModeContext, accessToken: string): Promise<string> {
    const { status, body } = await askApi(context.egress, apiUrl(context, '/user'), accessToken);
    const login = body['login'];
    if (status !== 200 || typeof login !== 'string' || login === '') {
        throw new TokenFailure('unknown', `The provider's API did not say who this person is (${status}).`);
    }
    return login;
}

function apiUrl(context: ModeContext, path: string): URL {
    const { provider } = context;
    if (provider.proxyBaseUrl === undefined) {
        throw new TokenFailure('unknown', `The entry of ${provider.displayName} does not say where its API is.`);
    }
    const url = buildUrl(provider.proxyBaseUrl, context);
    url.pathname = url.pathname.replace(/\/+$/, '') + path;
    return url;
}

function objectIn(text: string): Record<string, unknown> {
    try {
        const value: unknown = JSON.parse(text);
        return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
    } catch {
        return {};
    }
}
