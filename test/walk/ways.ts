/** How a provider of each mode is connected over HTTP, from the samples of its twin. */
import type { SampleInputs } from '../../src/simulator/samples.ts';
import { createSession } from '../http/accounts.ts';
import type { Answer, TestApp } from '../http/app.ts';

export interface Visit {
    valetkey: TestApp;
    slug: string;
    mode: string;
    samples: SampleInputs;
}

export class Failed extends Error {}

type Way = (visit: Visit, token: string) => Promise<void>;

/** The integration, and a session that presets what nobody is asked for. @throws Failed with what Valetkey or the twin said */
export async function connect(visit: Visit): Promise<void> {
    await expectOk('the integration', visit.valetkey.call('POST', '/integrations', { body: integrationOf(visit) }));
    await connectWith(visit, await sessionOf(visit));
}

function sessionOf({ valetkey, slug, samples: { presets } }: Visit): Promise<string> {
    const preset = { integrations_config_defaults: { [slug]: { connection_config: presets } } };
    const isPreset = Object.keys(presets).length > 0;
    return createSession(valetkey, { tags: { end_user_id: 'walker' }, allowed_integrations: [slug], ...(isPreset ? preset : {}) });
}

/** @param token of any connect session that allows the integration. @throws Failed */
export async function connectWith(visit: Visit, token: string): Promise<void> {
    const way = ways[visit.mode];
    if (way === undefined) throw new Failed(`there is no way to connect ${visit.mode}`);
    await way(visit, token);
}

/** Codes of http-api §12 for credentials that are not right; never a 200, and a 5xx only where §12.2 says so (A1). */
const tested = ['connection_test_failed'];
const refusals: Readonly<Record<string, readonly string[]>> = {
    API_KEY: tested,
    BASIC: tested,
    JWT: tested,
    SIGNATURE: tested,
    OAUTH2_CC: [...tested, 'client_credentials_fetch_error', 'incomplete_raw_credentials'],
    TWO_STEP: [...tested, 'invalid_two_step_credentials'],
    BILL: ['invalid_credentials'],
    AWS_SIGV4: ['aws_sigv4_sts_request_failed'],
};

/** Twins take no credential for right that says of itself that it is wrong. @throws Failed when Valetkey does */
export async function expectRefusal(visit: Visit): Promise<void> {
    const { mode, samples } = visit;
    const wrong = Object.fromEntries(Object.entries(samples.credentials).map(([name, value]) => [name, `${value}-wrong`]));
    const asked = await paths[mode]!({ ...visit, samples: { ...samples, credentials: wrong } }, await sessionOf(visit));
    // A role that cannot be assumed is the security token service's word, and has a status of its own (http-api §12.2).
    const code = /"code":"(\w+)"/.exec(asked.text)?.[1];
    const isRefused = asked.status === (mode === 'AWS_SIGV4' ? 502 : 400) && code !== undefined && refusals[mode]?.includes(code) === true;
    if (!isRefused) throw new Failed(`wrong credentials were answered ${asked.status} ${asked.text}`);
}

export const walkedModes = (): string[] => Object.keys(ways);

/** Modes whose integration holds an OAuth client or an app. */
const credentialsOf: Readonly<Record<string, readonly string[]>> = {
    OAUTH1: ['client_id', 'client_secret', 'scopes'],
    OAUTH2: ['client_id', 'client_secret', 'scopes'],
    TBA: ['client_id', 'client_secret', 'scopes'],
    APP: ['app_id', 'app_link', 'private_key'],
    CUSTOM: ['client_id', 'client_secret', 'app_id', 'app_link', 'private_key'],
};

export function integrationOf({ slug, mode, samples: { integration, connectionConfig } }: Visit): Record<string, unknown> {
    const isStaticClient = mode === 'MCP_OAUTH2' && integration['client_id'] !== undefined;
    const type = isStaticClient ? 'OAUTH2' : mode;
    const names = credentialsOf[type];
    const given = Object.entries(integration);
    const credentials = names && { type, ...Object.fromEntries(given.filter(([name]) => names.includes(name))) };
    const settings = Object.fromEntries(given.filter(([name]) => name !== 'scopes'));
    const isCustom = mode === 'INSTALL_PLUGIN' || mode === 'MCP_OAUTH2_GENERIC';
    // Hosts of twins are on no vendor's list (N2).
    const hosts = Object.values(connectionConfig).filter((value) => /^[a-z0-9-]+\.twin\.example/.test(value));
    const allowed = hosts.length > 0 ? { allowed_hosts: [...new Set(hosts.map((host) => host.split('/')[0]))] } : {};
    return {
        provider: slug,
        unique_key: slug,
        ...allowed,
        ...(credentials ? { credentials } : {}),
        ...(!credentials && Object.keys(settings).length > 0 ? { [isCustom ? 'custom' : 'integration_config']: settings } : {}),
    };
}

/** As the frontend client sends them. */
const queryOf = (token: string, config: Readonly<Record<string, string>>): string =>
    new URLSearchParams([['connect_session_token', token], ...Object.entries(config).map(([name, value]) => [`params[${name}]`, value])] as [
        string,
        string,
    ][]).toString();

type Typed = (visit: Visit, token: string) => Promise<Answer<unknown>>;

const typed =
    (path: string, body: (samples: SampleInputs) => unknown): Typed =>
    ({ valetkey, slug, samples }, token) =>
        valetkey.call('POST', `${path}/${slug}?${queryOf(token, samples.connectionConfig)}`, { key: null, body: body(samples) });

/** The person's browser, without one: the popup's page, the consent, and the way back with the flow's cookie. */
const redirect: Way = async ({ valetkey, slug, samples }, token) => {
    const started = await valetkey.call('GET', `/oauth/connect/${slug}?${queryOf(token, samples.connectionConfig)}`, { key: null });
    if (started.status !== 302) throw new Failed(`the flow did not begin: ${said(started)}`);
    const consent = await fetch(approved(started.headers['location']!), { redirect: 'manual' });
    if (consent.status !== 302) throw new Failed(`the twin refused the authorization request: ${await consent.text()}`);
    const { pathname, search } = new URL(consent.headers.get('location')!);
    const cookie = [started.headers['set-cookie']].flat().join('; ').split(';')[0]!;
    const back = await valetkey.call('GET', pathname + search, { key: null, headers: { cookie } });
    if (back.status !== 200) throw new Failed(`the callback was refused: ${said(back)}`);
};

/** A fragment reaches the twin by the page's script, as a query. */
function approved(address: string): string {
    const url = new URL(address);
    const [fragment, query] = url.hash.slice(1).split('?');
    if (query !== undefined) {
        url.search = query;
        url.hash = '';
        url.searchParams.set('_fragment', fragment!);
    }
    return `${url.href}&_decision=approve`;
}

const paths: Readonly<Record<string, Typed>> = {
    OAUTH2_CC: typed('/oauth2/auth', ({ credentials }) => credentials),
    TWO_STEP: typed('/auth/two-step', ({ credentials, assertionOption }) => ({
        type: 'TWO_STEP',
        ...credentials,
        ...(Object.keys(assertionOption).length > 0 ? { assertionOption } : {}),
    })),
    JWT: typed('/auth/jwt', ({ credentials }) => credentials),
    TBA: typed('/auth/tba', ({ credentials: { token_id, token_secret } }) => ({ token_id, token_secret })),
    SIGNATURE: typed('/auth/signature', ({ credentials: { username, password } }) => ({ type: 'SIGNATURE', username, password })),
    BILL: typed('/auth/bill', ({ credentials: { username, password, organization_id, dev_key } }) => ({
        username,
        password,
        organization_id,
        dev_key,
    })),
    AWS_SIGV4: typed('/auth/aws-sigv4', ({ credentials: { role_arn } }) => ({ role_arn })),
    API_KEY: typed('/api-auth/api-key', ({ credentials: { apiKey } }) => ({ apiKey })),
    BASIC: typed('/api-auth/basic', ({ credentials: { username, password } }) => ({ username, password })),
    NONE: typed('/auth/unauthenticated', () => ({})),
};

const ways: Readonly<Record<string, Way>> = {
    ...Object.fromEntries(
        Object.entries(paths).map(([mode, path]): [string, Way] => [mode, (visit, token) => expectOk('connecting', path(visit, token))]),
    ),
    OAUTH1: redirect,
    OAUTH2: redirect,
    MCP_OAUTH2: redirect,
    MCP_OAUTH2_GENERIC: redirect,
    APP: redirect,
    CUSTOM: redirect,
    INSTALL_PLUGIN: redirect,
};

async function expectOk(what: string, answer: Promise<Answer<unknown>>): Promise<void> {
    const { status, text } = await answer;
    if (status >= 300) throw new Failed(`${what} failed: ${status} ${text}`);
}

/** A page's text, or the whole of an answer. */
const said = ({ status, text }: Answer<unknown>): string =>
    `${status} ${text
        .replaceAll(/<(script|style)[\s\S]*?<\/\1>|<[^>]+>/g, ' ')
        .replaceAll(/\s+/g, ' ')
        .trim()
        .slice(0, 300)}`;
