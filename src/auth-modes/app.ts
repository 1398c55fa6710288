/** APP: a GitHub App's installation. The app's own JWT, signed here, buys a token of an hour (auth-modes §12.1). */
import { ConnectFailure, type AuthMode, type Completed, type ModeContext, type RedirectCompletion } from './auth-mode.ts';
import { installationIn, installedConfig, installPage, obtainInstallation } from './installation-flow.ts';
import { installationTokens, type InstalledApp } from './installation-token.ts';

/** The app is what its integration has in place of an OAuth client. */
const appOf = ({ provider, integration }: ModeContext): InstalledApp => ({
    tokenUrl: provider.tokenUrl,
    appId: integration.clientId,
    privateKey: integration.clientSecret,
});

export const app: AuthMode = {
    name: 'APP',
    redirect: { needsClient: false, start: async (input) => installPage(input, appOf(input)), complete },
    renewal: (context) => installationTokens(context, appOf(context)),
};

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { query, connectionConfig } = input;
    if (query['setup_action'] === 'request') {
        // Without a token of the person's own there is nothing to know them by when it is approved.
        throw new ConnectFailure('wrong_auth_mode', 'The installation waits for an approval. Start again once the app is installed.');
    }
    const installationId = installationIn(query);
    if (installationId === undefined) {
        throw new ConnectFailure('callback_err', 'The provider sent no installation_id.');
    }
    const installed = appOf(input);
    const context = { ...input, connectionConfig: { ...connectionConfig, installation_id: installationId } };
    const obtained = await obtainInstallation(context, installed);
    return { ...obtained, derivedConfig: installedConfig(obtained, { installationId, appId: installed.appId }) };
}
