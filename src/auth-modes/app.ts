/** APP: a GitHub App's installation. The app's own JWT, signed here, buys a token of an hour (auth-modes §12.1). */
import type { AuthMode } from './auth-mode.ts';
import { installationTokens } from './installation-token.ts';

export const app: AuthMode = {
    name: 'APP',
    renewal: (context) =>
        installationTokens(context, {
            tokenUrl: context.provider.tokenUrl,
            appId: context.integration.clientId,
            privateKey: context.integration.clientSecret,
        }),
};
