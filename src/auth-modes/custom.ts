/**
 * CUSTOM: a GitHub App with an OAuth client beside it (auth-modes §12.2). The installation's token is the credential, as in APP;
 * the token of the person who installed it is kept beside it, sealed. Until an owner has approved the installation, the
 * person's token is all there is.
 */
import type { Credentials, OAuth2Credentials } from '../credentials/credential.ts';
import { shortestCallMs } from '../credentials/present-grant.ts';
import type { RenewalStrategy, TokenReceipt } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { ConnectFailure, type AuthMode, type Completed, type ModeContext, type RedirectCompletion } from './auth-mode.ts';
import { requiredParam } from './callback-query.ts';
import { isInstallationOf, loginOf } from './installation-api.ts';
import { installationIn, installedConfig, installPage, obtainInstallation } from './installation-flow.ts';
import { installationTokens, type InstalledApp } from './installation-token.ts';
import { oauth2 } from './oauth2.ts';

const appOf = ({ provider, integration }: ModeContext): InstalledApp => ({
    tokenUrl: provider.tokenUrls['APP'],
    appId: integration.extras.app_id ?? null,
    privateKey: integration.extras.private_key ?? null,
});

/** The OAuth client beside the app, as a provider of its own. */
function asOauth2<Context extends ModeContext>(context: Context): Context {
    const tokenUrl = context.provider.tokenUrls['OAUTH2'];
    return { ...context, provider: { ...context.provider, ...(tokenUrl === undefined ? {} : { tokenUrl }) } };
}

export const custom: AuthMode = {
    name: 'CUSTOM',
    redirect: {
        needsClient: true,
        accountParam: 'installation_id',
        start: async (input) => installPage(input, appOf(input)),
        complete,
    },
    renewal: (context, current) => (current.type === 'OAUTH2' ? userTokens(context, current) : bothTokens(context)),
};

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { query, storedConfig } = input;
    const installationId = installationIn(query);
    const hasCode = typeof query['code'] === 'string' && query['code'] !== '';
    if (!hasCode && installationId !== undefined && (query['setup_action'] === 'update' || storedConfig !== undefined)) {
        return completeInstallation(input, installationId);
    }
    requiredParam(query, 'code', 'authorization code');
    const user = await oauth2.redirect!.complete({ ...asOauth2(input), redirectUri: '', pkceVerifier: '' });
    const userCredentials = user.credentials as OAuth2Credentials;
    const handle = await loginOf(input, userCredentials.access_token);
    if (installationId === undefined) {
        return { ...user, isPending: true, derivedConfig: { ...user.derivedConfig, app_id: appOf(input).appId, handle } };
    }
    if (!(await isInstallationOf(input, userCredentials.access_token, installationId))) {
        throw new ConnectFailure('callback_err', `${input.provider.displayName} does not list this installation among those that you may use.`);
    }
    const installed = await completeInstallation(input, installationId);
    return { ...installed, isAccountProven: true, derivedConfig: { ...installed.derivedConfig, handle, userCredentials } };
}

/** Credentials of the app alone. @throws ConnectFailure, TokenFailure */
export async function completeInstallation(context: ModeContext, installationId: string): Promise<Completed> {
    const installed = appOf(context);
    const connectionConfig = { ...context.connectionConfig, installation_id: installationId };
    const obtained = await obtainInstallation({ ...context, connectionConfig }, installed);
    return { ...obtained, derivedConfig: installedConfig(obtained, { installationId, appId: installed.appId }) };
}

const userTokens = (context: ModeContext, current: Credentials): RenewalStrategy => oauth2.renewal!(asOauth2(context), current);

function bothTokens(context: ModeContext): RenewalStrategy {
    const installation = installationTokens(context, appOf(context));
    const stored = context.connectionConfig['userCredentials'] as OAuth2Credentials | undefined;
    if (typeof stored?.refresh_token !== 'string') {
        return installation;
    }
    const user = userTokens(context, stored);
    return {
        ...installation,
        present: async (credentials, refreshToken, deadlineMs) => {
            const startedAt = context.sources.now();
            // First: were it to fail after the person's token was renewed, the new refresh token would be lost with it (R2).
            const receipt = await installation.present(credentials, refreshToken, deadlineMs);
            const left = deadlineMs - (context.sources.now() - startedAt);
            const answer = left < shortestCallMs ? undefined : await unlessRefused(() => user.present(stored, stored.refresh_token, left));
            return answer === undefined ? receipt : { ...receipt, further: { user: answer } };
        },
        interpret: (receipt, current) => {
            const obtained = installation.interpret(receipt, current);
            const userCredentials = readUser(user, receipt, stored);
            return userCredentials === undefined ? obtained : { ...obtained, derivedConfig: { ...obtained.derivedConfig, userCredentials } };
        },
    };
}

/** What becomes of the person's token is no failure of the connection: the old one stays (§12.2). */
async function unlessRefused<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
        return await call();
    } catch (error) {
        if (error instanceof TokenFailure) {
            return undefined;
        }
        throw error;
    }
}

function readUser(user: RenewalStrategy, { further }: TokenReceipt, stored: OAuth2Credentials): Credentials | undefined {
    const answer = further?.['user'] as TokenReceipt | undefined;
    try {
        return answer && user.interpret(answer, stored).credentials;
    } catch (error) {
        if (error instanceof TokenFailure) {
            return undefined;
        }
        throw error;
    }
}
