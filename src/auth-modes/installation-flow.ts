/** Installing an app at its provider, in the browser, and what the browser brings back: APP and CUSTOM (auth-modes §12). */
import type { AppCredentials, Obtained } from '../credentials/credential.ts';
import { appPage } from './app-link.ts';
import { ConnectFailure, type ModeContext, type RedirectStart, type RedirectStarted } from './auth-mode.ts';
import { buildUrl } from './fill-template.ts';
import { askApi } from './installation-api.ts';
import { installationTokens, installationUrl, type InstalledApp } from './installation-token.ts';

const tokenCallMs = 20_000;

/** The app's own page, which its integration names. */
const linkPlaceholder = '${connectionConfig.appPublicLink}';

/** The page on which the app is installed. @throws ConnectFailure when the integration has no app to install */
export function installPage(input: RedirectStart, installed: InstalledApp): RedirectStarted {
    const { provider, integration } = input;
    // What cannot be completed is not begun.
    if (!installed.appId || !installed.privateKey) {
        throw new ConnectFailure('provider_config_err', 'The integration has no app id and private key yet.');
    }
    if (provider.authorizationUrl === undefined) {
        throw new ConnectFailure('auth_mode_err', `The entry of ${provider.displayName} does not say where its apps are installed.`);
    }
    const page = provider.authorizationUrl.source;
    const target = page.startsWith(linkPlaceholder)
        ? { link: integration.extras.app_link, path: page.slice(linkPlaceholder.length) }
        : { link: buildUrl(provider.authorizationUrl, input).href };
    return { location: appPage(input, { ...target, setting: 'app_link', stateParam: 'state' }) };
}

/** The installation that a callback names. @returns `undefined` when it names none */
export function installationIn(query: Readonly<Record<string, unknown>>): string | undefined {
    const id = query['installation_id'];
    return typeof id === 'string' && /^[0-9]{1,20}$/.test(id) ? id : undefined;
}

/**
 * S13: the id comes from the browser, so the provider is asked for it as the app: it knows no installations but the app's own.
 * That it is this person's is not said by that; CUSTOM asks the provider, with the person's own token. APP has none: there, who
 * comes back with somebody else's installation of the same app is not found out. What ties it to the person is the flow, which
 * began in this browser and can be finished once (S1, S2).
 * @param context with the installation in its connection configuration
 * @throws ConnectFailure `callback_err` when the app has no such installation; TokenFailure
 */
export async function obtainInstallation(context: ModeContext, installed: InstalledApp): Promise<Obtained> {
    const strategy = installationTokens(context, installed);
    const url = installationUrl(context, installed.tokenUrl);
    const { status, body } = await askApi(context.egress, url, await strategy.signAppJwt());
    if (status !== 200) {
        throw new ConnectFailure('callback_err', `${context.provider.displayName} knows no such installation of this app (${status}).`);
    }
    if (body['suspended_at'] != null) {
        throw new ConnectFailure('callback_err', `This installation is suspended at ${context.provider.displayName}.`);
    }
    const none: AppCredentials = { type: 'APP', access_token: '', raw: {} };
    return strategy.interpret(await strategy.present(none, undefined, tokenCallMs), none);
}

/** What an installed app adds to the configuration. The JWT is sealed there, by its name (E4). */
export const installedConfig = ({ credentials }: Obtained, app: { installationId: string; appId: string | null }): Record<string, unknown> => ({
    installation_id: app.installationId,
    app_id: app.appId,
    ...(credentials.type === 'APP' && credentials.jwtToken !== undefined ? { jwtToken: credentials.jwtToken } : {}),
});
