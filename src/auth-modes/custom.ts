/** CUSTOM: a GitHub App with an OAuth client beside it. Renewed is the installation's token, as in APP; the app is kept apart from the client. */
import type { AuthMode } from './auth-mode.ts';
import { installationTokens } from './installation-token.ts';

export const custom: AuthMode = {
    name: 'CUSTOM',
    renewal: (context) =>
        installationTokens(context, {
            tokenUrl: context.provider.tokenUrls['APP'],
            appId: context.integration.extras.app_id ?? null,
            privateKey: context.integration.extras.private_key ?? null,
        }),
};
