/** Every screen of the page, and how a person gets there. What a healthy server does not say, the browser puts into its mouth. */
import type { BrowserContext, Frame, Page, Route } from 'playwright-core';
import { awaitHeading, embed, input, openLink, popupOf, submit, type Simulated } from './simulated.ts';

export interface Shown {
    page: Page;
    /** The page itself, or the frame in the host page. */
    place: Page | Frame;
}

interface Visit {
    simulated: Simulated;
    context: BrowserContext;
    theme: 'light' | 'dark';
    /** Default English. Then only screens that are shown by themselves. */
    lang?: string;
}

/** Integrations that the screens need. Eight, from which on there is a search. */
export const integrations = ['datadog', 'freshdesk', 'snowflake-jwt', 'aws-sigv4', 'slack', 'hubspot', 'sentry-oauth', 'emarsys'] as const;

const held = (): Promise<void> => new Promise(() => {});
const crossOrigin = { 'access-control-allow-origin': '*' };
export const answer = (status: number, json: unknown) => (route: Route) => route.fulfill({ status, json, headers: crossOrigin });
const refusal = (status: number, code: string, message: string) => answer(status, { error: { code, message } });

/** Preflights are answered by the server as ever. */
export const instead = (page: Page | BrowserContext, path: string, reply: (route: Route) => Promise<void>): Promise<unknown> =>
    page.route(
        (url) => url.pathname.startsWith(path),
        (route) => (route.request().method() === 'OPTIONS' ? route.continue() : reply(route)),
    );

interface Way {
    only?: string;
    session?: Record<string, unknown>;
    isStandalone?: boolean;
    isEmpty?: boolean;
    query?: Record<string, string>;
    prepare?: (context: BrowserContext) => Promise<unknown>;
    /** Of the first screen that is waited for; any. */
    heading?: string | RegExp | null;
    act?: (place: Page | Frame, page: Page) => Promise<unknown>;
}

const key = 'user-of-emarsys';
const fillEmarsys = async (place: Page | Frame): Promise<void> => {
    await input(place, 'API Username').fill(key);
    await input(place, 'API Secret').fill('secret-of-nobody');
};
const sendEmarsys = async (place: Page | Frame): Promise<void> => {
    await fillEmarsys(place);
    await submit(place);
};
const connected = answer(200, { connectionId: 'c-1', providerConfigKey: 'emarsys' });

const ways = {
    loading: { heading: null, prepare: (context) => instead(context, '/connect/session', held), act: (place) => place.locator('.loading').waitFor() },
    list: { session: { allowed_integrations: ['slack', 'hubspot', 'datadog'] } },
    'list with search': { act: (place) => place.locator('[type=search]').fill('da') },
    'list without a match': { act: (place) => place.locator('[type=search]').fill('no such thing') },
    empty: { isEmpty: true },
    'form with a choice': { only: 'datadog' },
    'form with a prefix and a suffix': { only: 'freshdesk' },
    'form with a key': { only: 'snowflake-jwt' },
    'form with an id to copy': { only: 'aws-sigv4' },
    'form without fields': { only: 'slack' },
    'form for an own app': {
        only: 'hubspot',
        session: {
            integrations_config_defaults: { hubspot: { connection_config: { oauth_client_id_override: '', oauth_client_secret_override: '' } } },
        },
    },
    'form with an invalid preset': {
        only: 'freshdesk',
        session: { integrations_config_defaults: { freshdesk: { connection_config: { subdomain: 'No such place!' } } } },
    },
    'form with errors': {
        only: 'freshdesk',
        act: async (place) => {
            await input(place, 'Freshdesk Domain').fill('no such place!');
            // It looks switched off, and says why when it is pressed.
            await place.locator('button[type=submit]').click({ force: true });
            await place.getByRole('alert').first().waitFor();
        },
    },
    'form in a tab': { only: 'datadog', isStandalone: true },
    'form in a dashboard': { only: 'datadog', isStandalone: true, query: { preview: 'true', embedded: 'true' } },
    busy: { only: 'emarsys', prepare: (context) => instead(context, '/auth/', held), act: sendEmarsys },
    waiting: {
        only: 'slack',
        act: async (place, page) => {
            await popupOf(page, () => submit(place));
            await awaitHeading(place, 'Continue at Slack');
        },
    },
    'popup blocked': {
        only: 'slack',
        act: async (place) => {
            await place.evaluate(() => (window.open = () => null));
            await submit(place);
            await place.getByRole('alert').waitFor();
        },
    },
    success: {
        only: 'emarsys',
        prepare: (context) => instead(context, '/auth/', connected),
        act: async (place) => (await sendEmarsys(place), awaitHeading(place, 'Connected')),
    },
    'success in a tab': {
        only: 'emarsys',
        isStandalone: true,
        prepare: (context) => instead(context, '/auth/', connected),
        act: async (place) => (await sendEmarsys(place), awaitHeading(place, 'Connected')),
    },
    pending: {
        only: 'sentry-oauth',
        act: async (place) => {
            await input(place, 'User ID').fill('123456');
            await submit(place);
            await awaitHeading(place, 'Waiting for approval');
        },
    },
    failure: {
        only: 'emarsys',
        prepare: (context) =>
            instead(context, '/auth/', refusal(400, 'connection_test_failed', 'Emarsys answered 401: {"replyText":"Unauthorized"}')),
        act: async (place) => {
            await sendEmarsys(place);
            await awaitHeading(place, 'Not connected');
            await place.locator('[aria-controls=details]').click();
        },
    },
    expired: { prepare: (context) => instead(context, '/connect/session', refusal(401, 'unknown_connect_session_token', 'Expired')) },
    'no token': { isStandalone: true },
    unsupported: {
        only: 'slack',
        prepare: (context) =>
            instead(context, '/providers/', answer(200, { data: { name: 'slack', display_name: 'Slack', auth_mode: 'TELEPATHY' } })),
    },
    error: { prepare: (context) => instead(context, '/integrations', (route) => route.abort()) },
    'leave dialog': {
        only: 'emarsys',
        act: async (place, page) => {
            await input(place, 'API Username').fill(key);
            await page.keyboard.press('Escape');
            await place.getByRole('alertdialog').waitFor();
        },
    },
} satisfies Record<string, Way> as Record<string, Way>;

export const screens: readonly string[] = Object.keys(ways);

/** Goes there. */
export async function show(name: string, { simulated, context, theme, lang = 'en' }: Visit): Promise<Shown> {
    const { only, session, isStandalone = false, isEmpty = false, query = {}, prepare, heading = /./, act } = ways[name]!;
    await prepare?.(context);
    const connectLink = await simulated.session(only, session, isEmpty ? simulated.valetkey.prodKey : undefined);
    let shown: Shown;
    if (isStandalone) {
        const link = name === 'no token' ? `${simulated.url}/connect-ui/` : connectLink.link;
        const page = await openLink(context, { ...connectLink, link }, { theme, lang, ...query });
        shown = { page, place: page };
    } else {
        const { page, frame } = await embed(context, simulated, connectLink.token, { themeOverride: theme, lang });
        shown = { page, place: frame };
    }
    if (heading !== null) await awaitHeading(shown.place, heading);
    await act?.(shown.place, shown.page);
    return shown;
}
