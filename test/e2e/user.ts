/** An end user without a browser: does by fetch what a popup does, cookies included. */
import type { AuthorizationServer } from '../peers/authorization-server.ts';

export interface StartedConnect {
    /** Where Valetkey sends the browser. */
    authorizationUrl: string;
    /** `name=value` pairs the browser now holds for Valetkey. */
    cookie: string;
}

/** Opens the popup's first page. */
export async function startConnect(
    url: string,
    integration: string,
    sessionToken: string,
    query: Record<string, string> = {},
): Promise<StartedConnect> {
    const search = new URLSearchParams({ connect_session_token: sessionToken, ...query });
    const response = await fetch(`${url}/oauth/connect/${integration}?${search}`, { redirect: 'manual' });
    const location = response.headers.get('location');
    if (response.status !== 302 || location === null) {
        throw new Error(`connect answered ${response.status}: ${await response.text()}`);
    }
    const cookie = response.headers
        .getSetCookie()
        .map((line) => line.split(';')[0])
        .join('; ');
    return { authorizationUrl: location, cookie };
}

export interface CallbackAnswer {
    status: number;
    html: string;
    headers: Headers;
}

/** Follows the provider's redirect back to Valetkey. */
export async function openCallback(callbackUrl: string, cookie: string): Promise<CallbackAnswer> {
    const response = await fetch(callbackUrl, { headers: cookie === '' ? {} : { cookie }, redirect: 'manual' });
    return { status: response.status, html: await response.text(), headers: response.headers };
}

/** Consents at the authorization server and comes back. */
export async function connectThrough(
    server: Pick<AuthorizationServer, 'authorize'>,
    url: string,
    integration: string,
    sessionToken: string,
): Promise<CallbackAnswer> {
    const started = await startConnect(url, integration, sessionToken);
    return openCallback(await server.authorize(started.authorizationUrl), started.cookie);
}
