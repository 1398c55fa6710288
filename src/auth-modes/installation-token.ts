/** What APP and CUSTOM share: the token of an app's installation, and the JWT that buys it. */
import type { Obtained } from '../credentials/credential.ts';
import { endsAt, firstKnown, readExpiry, shownExpiry } from '../credentials/expiry.ts';
import type { RenewalStrategy, TokenReceipt } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import type { UrlTemplate } from '../providers/url-template.ts';
import type { ModeContext } from './auth-mode.ts';
import { signAppJwt } from './client-assertion.ts';
import { asTokenFailure, buildUrl } from './fill-template.ts';
import { assertSecretMayGoTo } from './secret-destination.ts';
import { hostOf, readAnswer, requestToken } from './token-endpoint.ts';

const failureType = 'github_app_token_fetch_error';
const usualLifetimeMs = 3600 * 1000;

/** The app behind an integration, wherever its mode keeps it. */
export interface InstalledApp {
    tokenUrl: UrlTemplate | undefined;
    appId: string | null;
    privateKey: string | null;
}

/** As a strategy, and the app's own JWT for other calls of it. */
export function installationTokens(context: ModeContext, installed: InstalledApp): RenewalStrategy & Required<Pick<RenewalStrategy, 'signAppJwt'>> {
    const { provider, egress, sources, connectionConfig } = context;
    const signJwt = async (): Promise<string> => {
        // The integration's key signs for the integration's app; a connection names it too, and does where the integration does not.
        const id = installed.appId || connectionConfig['app_id'];
        if (typeof id !== 'string' || id === '' || !installed.privateKey) {
            throw new TokenFailure('unknown', 'The integration has no app id and private key yet.', { type: failureType, isUnasked: true });
        }
        return signAppJwt({ id, privateKey: installed.privateKey }, sources);
    };
    return {
        marginSeconds: provider.entry.token_expiration_buffer,
        tokenLimits: provider.entry.token_limits,
        tokenHost: () => hostOf(() => tokenUrl(context, installed.tokenUrl)),
        canRenew: (credentials) => credentials.type === 'APP',
        signAppJwt: signJwt,
        present: async (_credentials, _refreshToken, deadlineMs) => {
            const url = asTokenFailure(() => tokenUrl(context, installed.tokenUrl), failureType);
            const jwt = await signJwt();
            const receipt = await requestToken(egress, {
                url,
                params: {},
                clientId: '',
                clientSecret: jwt,
                clientAuthentication: 'bearer',
                bodyFormat: 'empty',
                accept: 'application/vnd.github.v3+json',
                deadlineMs,
                secrets: [],
                failureType,
            });
            return { ...receipt, presentedAssertion: jwt };
        },
        interpret: readInstallationToken,
    };
}

/** It is about to receive what the integration's key has signed (N2). */
function tokenUrl(context: ModeContext, template: UrlTemplate | undefined): URL {
    if (template === undefined) {
        throw new TokenFailure('unknown', `${context.provider.displayName} has no token URL.`, { type: failureType });
    }
    const url = buildUrl(template, context);
    assertSecretMayGoTo(url, template, context);
    return url;
}

/** Where the app reads about the installation that its tokens are for. */
export function installationUrl(context: ModeContext, template: UrlTemplate | undefined): URL {
    const url = tokenUrl(context, template);
    url.pathname = url.pathname.replace(/\/access_tokens$/, '');
    return url;
}

function readInstallationToken(receipt: TokenReceipt): Obtained {
    const raw = readAnswer(receipt);
    const token = raw['token'];
    if (typeof token !== 'string' || token === '') {
        throw new TokenFailure('unknown', 'The token endpoint answered without an installation token.', { type: failureType });
    }
    const named = readExpiry({ expires_at: raw['expires_at'] }, receipt.requestedAt);
    const end = firstKnown(named, endsAt(receipt.requestedAt + usualLifetimeMs, 'assumed'));
    return {
        obtainedAt: receipt.requestedAt,
        ...end,
        credentials: {
            type: 'APP',
            access_token: token,
            ...shownExpiry(end),
            raw,
            ...(receipt.presentedAssertion === undefined ? {} : { jwtToken: receipt.presentedAssertion }),
        },
    };
}
