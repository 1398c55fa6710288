/** OAUTH2: authorization code with PKCE (RFC 6749 §4.1, RFC 7636), renewal by refresh token (RFC 6749 §6). */
import type { Credentials, OAuth2Credentials } from '../credentials/credential.ts';
import type { RenewalStrategy } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { checkDerivedConfig } from '../providers/fields.ts';
import type { UrlTemplate } from '../providers/url-template.ts';
import { newRandomId } from '../sources.ts';
import {
    ConnectFailure,
    type AuthMode,
    type Completed,
    type ModeContext,
    type RedirectCompletion,
    type RedirectStart,
    type RedirectStarted,
} from './auth-mode.ts';
import { assertSettable, authorizationUrl } from './authorization-url.ts';
import { requiredParam } from './callback-query.ts';
import { asTokenFailure, buildUrl, fillParams } from './fill-template.ts';
import { assertSecretMayGoTo } from './secret-destination.ts';
import { readTokenResponse, requestToken, type TokenRequest } from './token-endpoint.ts';

const tokenCallMs = 20_000;

export const oauth2: AuthMode = {
    name: 'OAUTH2',
    redirect: { needsClient: true, start, complete },
    renewal: (context, current) => refreshTokenGrant(context, current),
};

async function start(input: RedirectStart): Promise<RedirectStarted> {
    const { provider, integration } = input;
    const { entry } = provider;
    if (provider.authorizationUrl === undefined || provider.tokenUrl === undefined || entry.installation === 'outbound') {
        throw new ConnectFailure('auth_mode_err', `${provider.displayName} is not connected through an authorization page.`);
    }
    const grantType = entry.token_params?.['grant_type'] ?? 'authorization_code';
    if (grantType !== 'authorization_code') {
        throw new ConnectFailure('grant_type_err', `The grant type of ${provider.displayName} is not supported here.`);
    }
    assertSettable(input.clientAuthorizationParams, 'browser');
    assertSettable(input.sessionAuthorizationParams ?? {}, 'session');
    // Built now although it is used later: what cannot be exchanged is not begun, and no consent is asked for in vain.
    tokenUrl(input, provider.tokenUrl);
    const scopes = (input.scopesOverride ?? integration.scopes ?? '').split(',').filter((scope) => scope !== '');
    const location = await authorizationUrl({
        endpoint: buildUrl(provider.authorizationUrl, input),
        clientId: integration.clientId ?? '',
        redirectUri: input.redirectUri,
        scopes,
        scopeSeparator: entry.scope_separator ?? ' ',
        state: input.state,
        pkceVerifier: entry.disable_pkce ? undefined : input.pkceVerifier,
        templateParams: interpolateParams(entry.authorization_params ?? {}, input),
        extraParams: {
            ...(provider.name === 'slack' && input.userScope ? { user_scope: input.userScope } : {}),
            ...(input.sessionAuthorizationParams ?? input.clientAuthorizationParams),
        },
        skipEncodeScopes: entry.authorization_url_skip_encode?.includes('scopes') ?? false,
        skipEmpty: entry.authorization_url_skip_empty ?? false,
        fragment: entry.authorization_url_fragment,
        ...(entry.authorization_url_replacements ? { replacements: entry.authorization_url_replacements } : {}),
    });
    return { location };
}

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { provider, query } = input;
    const { entry } = provider;
    const code = requiredParam(query, entry.authorization_code_param_in_callback ?? 'code', 'authorization code');
    // S5, E12: the callback may complete the configuration, but only with values the catalogue allows.
    const fromCallback = checkDerivedConfig(provider, pickStrings(query, entry.redirect_uri_metadata ?? []), 'callback').values;
    const context = { ...input, connectionConfig: { ...fromCallback, ...input.connectionConfig } };
    const receipt = await requestToken(input.egress, {
        ...tokenRequest(context, tokenUrl(context, provider.tokenUrl)),
        params: {
            grant_type: 'authorization_code',
            code,
            redirect_uri: input.redirectUri,
            ...interpolateParams(entry.token_params ?? {}, context),
            ...(entry.disable_pkce ? {} : { code_verifier: input.pkceVerifier }),
        },
        deadlineMs: tokenCallMs,
        secrets: [],
    });
    const { raw, ...obtained } = readTokenResponse(receipt, readingRules(context));
    const fromToken = checkDerivedConfig(provider, pickPaths(raw, entry.token_response_metadata ?? []), 'token_response').values;
    return { ...obtained, derivedConfig: { ...fromToken, ...fromCallback } };
}

function refreshTokenGrant(context: ModeContext, current: Credentials): RenewalStrategy {
    const { provider } = context;
    const effective = withOwnClient(context, current as OAuth2Credentials);
    return {
        marginSeconds: provider.entry.token_expiration_buffer,
        assumedLifetimeSeconds: provider.entry.assumed_expires_in,
        canRenew: (credentials) => credentials.type === 'OAUTH2' && credentials.refresh_token !== undefined,
        present: (credentials, refreshToken, deadlineMs) => {
            const request = asTokenFailure(() => refreshRequest(effective, refreshToken ?? ''));
            return requestToken(context.egress, { ...request, deadlineMs, secrets: [(credentials as OAuth2Credentials).access_token] });
        },
        interpret: (receipt, credentials) => {
            const { raw: _raw, ...obtained } = readTokenResponse(receipt, readingRules(effective));
            const previous = credentials as OAuth2Credentials;
            // R6: a new refresh token replaces the old one, otherwise the old one is kept (RFC 6749 §6).
            const refreshToken = obtained.credentials.refresh_token ?? receipt.presentedRefreshToken ?? previous.refresh_token;
            return {
                ...obtained,
                credentials: {
                    ...obtained.credentials,
                    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
                    ...(previous.config_override ? { config_override: previous.config_override } : {}),
                },
            };
        },
    };
}

/** As the OAuth app that the grant was given to: the connection's own, where it has one. */
export function withOwnClient(context: ModeContext, { config_override: override }: Pick<OAuth2Credentials, 'config_override'>): ModeContext {
    // Both or neither: a client id belongs to its secret.
    return override?.client_id && override.client_secret
        ? { ...context, integration: { ...context.integration, clientId: override.client_id, clientSecret: override.client_secret } }
        : context;
}

/** R7: always `refresh_token` unless the entry says otherwise; `token_params` belong to the code exchange. */
function refreshRequest(context: ModeContext, refreshToken: string): Omit<TokenRequest, 'deadlineMs' | 'secrets'> {
    const { provider } = context;
    return {
        ...tokenRequest(context, tokenUrl(context, provider.refreshUrl ?? provider.tokenUrl)),
        params: {
            grant_type: 'refresh_token',
            ...interpolateParams(provider.entry.refresh_params ?? {}, context),
            refresh_token: refreshToken,
        },
    };
}

/** How the client of this integration speaks to its provider's endpoints. */
export function tokenRequest(context: ModeContext, url: URL): Omit<TokenRequest, 'params' | 'deadlineMs' | 'secrets'> {
    const { entry } = context.provider;
    const method = entry.token_request_auth_method;
    const isBasic = entry.authorization_method === 'header' || method === 'basic';
    return {
        url,
        clientId: context.integration.clientId ?? '',
        clientSecret: context.integration.clientSecret ?? '',
        clientAuthentication: method === 'basic_secret' ? 'basic_secret' : isBasic ? 'basic' : 'body',
        bodyFormat: entry.body_format === 'json' ? 'json' : 'form',
    };
}

const readingRules = (context: ModeContext): { alternatePath: string | undefined } => ({
    alternatePath: context.provider.entry.alternate_access_token_response_path,
});

function tokenUrl(context: ModeContext, template: UrlTemplate | undefined): URL {
    if (template === undefined) {
        throw new TokenFailure('unknown', `${context.provider.displayName} has no token URL.`);
    }
    return endpointUrl(context, template);
}

/** An endpoint as this connection's configuration has it; it is about to receive secrets (N2). @throws ConnectFailure `url_param_err` */
export function endpointUrl(context: ModeContext, template: UrlTemplate): URL {
    const url = buildUrl(template, context);
    assertSecretMayGoTo(url, template, context);
    return url;
}

const interpolateParams = (params: Readonly<Record<string, unknown>>, context: ModeContext): Record<string, string> =>
    fillParams(params, { connectionConfig: context.connectionConfig, random: newRandomId(context.sources) });

const pickStrings = (source: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(names.flatMap((name) => (typeof source[name] === 'string' ? [[name, source[name]]] : [])));

/** Values at dotted paths, stored under the literal dotted name. */
export function pickPaths(source: Readonly<Record<string, unknown>>, paths: readonly string[]): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const path of paths) {
        let value: unknown = source;
        for (const name of path.split('.')) {
            value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
        }
        if (typeof value === 'string' || typeof value === 'boolean') {
            found[path] = value;
        }
    }
    return found;
}
