/**
 * INSTALL_PLUGIN: a plugin is installed at its provider, and is from then on spoken for by the plugin's own key pair, which the
 * integration has (auth-modes §11.4). What the user's browser brings back is which account it was installed in.
 */
import { checkDerivedConfig } from '../providers/fields.ts';
import { appPage } from './app-link.ts';
import {
    ConnectFailure,
    type AuthMode,
    type Completed,
    type ModeContext,
    type RedirectCompletion,
    type RedirectStart,
    type RedirectStarted,
} from './auth-mode.ts';
import { requiredParam } from './callback-query.ts';
import { testCredentials } from './credential-test.ts';

export const installPlugin: AuthMode = {
    name: 'INSTALL_PLUGIN',
    redirect: { needsClient: false, start, complete },
};

async function start(input: RedirectStart): Promise<RedirectStarted> {
    // What cannot be completed is not begun.
    keyPairOf(input);
    const { app_link: link = input.integration.extras.custom?.['app_link'] } = input.integration.extras;
    return { location: appPage(input, { link, setting: 'custom.app_link', stateParam: 'payload' }) };
}

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { provider, query, sources } = input;
    const names = provider.entry.redirect_uri_metadata ?? [];
    const account = Object.fromEntries(names.map((name) => [name, requiredParam(query, name, name)]));
    const { values, issues } = checkDerivedConfig(provider, account, 'callback');
    if (issues.length > 0) {
        throw new ConnectFailure('callback_err', issues.map((issue) => issue.message).join(' '));
    }
    const credentials = { type: 'BASIC' as const, ...keyPairOf(input) };
    const obtainedAt = sources.now();
    const tested = await testCredentials({ ...input, connectionConfig: { ...input.connectionConfig, ...values } }, credentials);
    return { credentials, obtainedAt, expiresAt: null, derivedConfig: values, ...tested };
}

/** As they were set: nothing here is base64 (the trap of §2.1). */
function keyPairOf({ integration }: ModeContext): { username: string; password: string } {
    const { username, password } = integration.extras.custom ?? {};
    if (!username || !password) {
        throw new ConnectFailure('provider_config_err', 'The integration has no plugin key pair yet (custom.username, custom.password).');
    }
    return { username, password };
}
