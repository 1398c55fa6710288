/** OAUTH2: authorization code with PKCE (RFC 6749 §4.1, RFC 7636), renewal by refresh token (RFC 6749 §6). */
import type { AwaitedCredentials, Credentials, OAuth2Credentials, Obtained } from '../credentials/credential.ts';
import type { RenewalStrategy, TokenReceipt } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import type { StoredToken } from '../providers/exceptions/token-exception.ts';
import { checkDerivedConfig } from '../providers/fields.ts';
import type { ProviderEntry } from '../providers/provider.ts';
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
import { checkedConfig, derivedFromAnswer, newsAmong } from './token-metadata.ts';
import { hostOf, readTokenResponse, requestToken, type TokenRequest } from './token-endpoint.ts';
import { confirmation, exceptionOf, exchangeByException, readByException, refreshByException } from './token-exceptions.ts';

export const tokenCallMs = 20_000;

export const oauth2: AuthMode = {
    name: 'OAUTH2',
    redirect: { needsClient: true, start, complete },
    renewal: (context, current) => refreshTokenGrant(context, current),
};

async function start(input: RedirectStart): Promise<RedirectStarted> {
    const { provider, integration } = input;
    const { entry } = provider;
    if (provider.authorizationUrl === undefined || provider.tokenUrl === undefined) {
        throw new ConnectFailure('auth_mode_err', `${provider.displayName} is not connected through an authorization page.`);
    }
    const grantType = entry.token_params?.['grant_type'] ?? 'authorization_code';
    if (grantType !== 'authorization_code') {
        throw new ConnectFailure('grant_type_err', `The grant type of ${provider.displayName} is not supported here.`);
    }
    assertSettable(input.clientAuthorizationParams, 'browser');
    assertSettable(input.sessionAuthorizationParams ?? {}, 'session');
    // Built now although it is used later: what cannot be exchanged is not begun, and no consent is asked for in vain.
    if (!awaitsCallback(input, provider.tokenUrl)) {
        tokenUrl(input, provider.tokenUrl);
    }
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

/** Whether the callback brings a part of the URL. */
const awaitsCallback = ({ provider, connectionConfig }: RedirectStart, template: UrlTemplate): boolean =>
    template.fields.some(
        ({ root, name }) =>
            root === 'connectionConfig' && connectionConfig[name] === undefined && provider.entry.redirect_uri_metadata?.includes(name) === true,
    );

async function complete(input: RedirectCompletion): Promise<Completed> {
    const { provider, query } = input;
    const { entry } = provider;
    const code = requiredParam(query, entry.authorization_code_param_in_callback ?? 'code', 'authorization code');
    // S5, E12: the callback may complete the configuration, but only with values the catalogue allows.
    const fromCallback = checkDerivedConfig(provider, pickStrings(query, entry.redirect_uri_metadata ?? []), 'callback').values;
    const context = { ...input, connectionConfig: { ...fromCallback, ...input.connectionConfig } };
    const state = [query['state'], query['customField']].find((value) => typeof value === 'string') ?? '';
    const { redirectUri, pkceVerifier } = input;
    const obtained = await obtainByCode(context, { code, redirectUri, pkceVerifier, state: state as string });
    return { ...obtained, derivedConfig: { ...obtained.derivedConfig, ...fromCallback } };
}

export interface CodeGrant {
    code: string;
    /** `''`: there was no authorization request that it could belong to, nor a verifier. */
    redirectUri: string;
    pkceVerifier: string;
    /** As it came back. */
    state: string;
    /** Sent along with every token call: MCP's `resource` (M2). */
    extraParams?: Readonly<Record<string, string>>;
}

/** A code for credentials, as the entry or its exception says. @throws ConnectFailure, TokenFailure */
export async function obtainByCode(context: ModeContext, grant: CodeGrant): Promise<Obtained> {
    const { provider, egress } = context;
    const { entry } = provider;
    const exception = exceptionOf(provider);
    const url = tokenUrl(context, provider.tokenUrl);
    const usual = (deadlineMs: number): Promise<TokenReceipt> =>
        requestToken(egress, {
            ...tokenRequest(context, url),
            params: {
                grant_type: 'authorization_code',
                code: grant.code,
                // Both belong to an authorization request (RFC 6749 §4.1.3, RFC 7636 §4.5), which an installation has none of.
                ...(grant.redirectUri === '' ? {} : { redirect_uri: grant.redirectUri }),
                ...interpolateParams(entry.token_params ?? {}, context),
                ...(entry.disable_pkce || grant.pkceVerifier === '' ? {} : { code_verifier: grant.pkceVerifier }),
                ...grant.extraParams,
            },
            deadlineMs,
            secrets: [],
            refusal: exception?.refusal,
        });
    const receipt = exception?.exchange
        ? await exchangeByException(
              exception.exchange,
              context,
              {
                  tokenUrl: url,
                  refreshUrl: tokenUrl(context, provider.refreshUrl ?? provider.tokenUrl),
                  usual,
                  deadlineMs: tokenCallMs,
                  secrets: [grant.code, grant.pkceVerifier],
                  ...(grant.extraParams && { extraParams: grant.extraParams }),
              },
              grant,
          )
        : await usual(tokenCallMs);
    return readTokens(context, receipt, { redirectUri: grant.redirectUri });
}

/** Pure. Credentials and what the entry keeps of the answer beside them. @throws TokenFailure */
function readTokens(
    context: ModeContext,
    receipt: TokenReceipt,
    given: { redirectUri?: string; stored?: StoredToken },
): Obtained & { credentials: OAuth2Credentials } {
    const { provider, connectionConfig } = context;
    const read = exceptionOf(provider)?.read;
    const { raw, config, ...obtained } = read
        ? readByException(read, receipt, { connectionConfig, ...given })
        : { ...readTokenResponse(receipt, readingRules(context)), config: {} };
    return { ...obtained, derivedConfig: { ...derivedFromAnswer(provider, raw), ...checkedConfig(provider, config) } };
}

export interface RefreshOptions {
    /** As in `CodeGrant`. */
    extraParams?: Readonly<Record<string, string>>;
}

export function refreshTokenGrant(context: ModeContext, current: Credentials, { extraParams = {} }: RefreshOptions = {}): RenewalStrategy {
    const { provider, egress } = context;
    const { entry } = provider;
    const effective = withOwnClient(context, current as OAuth2Credentials);
    const exception = exceptionOf(provider);
    // Asked for twice per renewal: by the gate, and by the call.
    let built: URL | undefined;
    const refreshUrl = (): URL => (built ??= tokenUrl(effective, provider.refreshUrl ?? provider.tokenUrl));
    return {
        marginSeconds: entry.token_expiration_buffer ?? exception?.marginSeconds,
        assumedLifetimeSeconds: entry.assumed_expires_in ?? exception?.assumedLifetimeSeconds,
        maxIdleSeconds: entry.max_idle,
        tokenLimits: entry.token_limits,
        tokenHost: () => hostOf(refreshUrl),
        canRenew: (credentials) =>
            credentials.type === 'OAUTH2' && (credentials.refresh_token !== undefined || exception?.renewsWithoutRefreshToken === true),
        isSecretConfig: (name) => provider.configRules.get(name)?.field.secret === true,
        present: (credentials, refreshToken, deadlineMs) => {
            const { access_token: accessToken, raw } = credentials as OAuth2Credentials;
            const request = asTokenFailure(() => refreshRequest(effective, refreshToken ?? '', refreshUrl()));
            const usual = (ms: number): Promise<TokenReceipt> =>
                requestToken(egress, {
                    ...request,
                    params: { ...request.params, ...extraParams },
                    deadlineMs: ms,
                    secrets: [accessToken],
                    refusal: exception?.refusal,
                });
            return exception?.refresh
                ? refreshByException(
                      exception.refresh,
                      effective,
                      {
                          tokenUrl: asTokenFailure(() => tokenUrl(effective, provider.tokenUrl)),
                          refreshUrl: request.url,
                          extraParams,
                          usual,
                          deadlineMs,
                          secrets: [accessToken, ...(refreshToken === undefined ? [] : [refreshToken])],
                      },
                      { accessToken, refreshToken, raw },
                  )
                : usual(deadlineMs);
        },
        interpret: (receipt, credentials) => {
            const previous = credentials as OAuth2Credentials;
            const { derivedConfig, ...obtained } = readTokens(effective, receipt, { stored: storedToken(previous) });
            // R6: a new refresh token replaces the old one, otherwise the old one is kept (RFC 6749 §6).
            const refreshToken = obtained.credentials.refresh_token ?? receipt.presentedRefreshToken ?? previous.refresh_token;
            const news = newsAmong(derivedConfig ?? {}, context.connectionConfig);
            return {
                ...obtained,
                credentials: {
                    ...obtained.credentials,
                    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
                    ...(previous.config_override ? { config_override: previous.config_override } : {}),
                },
                ...(news === undefined ? {} : { derivedConfig: news }),
            };
        },
        ...confirmation(effective, (credentials) => {
            const { access_token: accessToken, raw } = credentials as OAuth2Credentials;
            return { accessToken, client: { id: effective.integration.clientId ?? '', secret: effective.integration.clientSecret ?? '' }, raw };
        }),
    };
}

const storedToken = (stored: OAuth2Credentials): StoredToken => ({
    accessToken: stored.access_token,
    refreshToken: stored.refresh_token,
    expiresAt: stored.expires_at,
    raw: stored.raw,
});

/** As the OAuth app that the grant was given to: the connection's own, where it has one. */
export function withOwnClient(
    context: ModeContext,
    { config_override: override }: Pick<OAuth2Credentials | AwaitedCredentials, 'config_override'>,
): ModeContext {
    // Both or neither: a client id belongs to its secret.
    return override?.client_id && override.client_secret
        ? { ...context, integration: { ...context.integration, clientId: override.client_id, clientSecret: override.client_secret } }
        : context;
}

/** R7: always `refresh_token` unless the entry says otherwise; `token_params` belong to the code exchange. */
export function refreshRequest(
    context: ModeContext,
    refreshToken: string,
    url = tokenUrl(context, context.provider.refreshUrl ?? context.provider.tokenUrl),
): Omit<TokenRequest, 'deadlineMs' | 'secrets'> {
    const { provider } = context;
    return {
        ...tokenRequest(context, url),
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
        clientAuthentication: method === 'basic_secret' ? 'basic_secret' : isBasic ? basicOf(entry) : 'body',
        bodyFormat: entry.body_format === 'json' ? 'json' : 'form',
    };
}

/** N7: encoded as the standard has it, unless the entry says that its server does not decode. */
export const basicOf = ({ basic_encoding: encoding }: ProviderEntry): 'basic' | 'basic_raw' => (encoding === 'raw' ? 'basic_raw' : 'basic');

export const readingRules = (context: ModeContext): { alternatePath: string | undefined } => ({
    alternatePath: context.provider.entry.alternate_access_token_response_path,
});

export function tokenUrl(context: ModeContext, template: UrlTemplate | undefined): URL {
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

export const interpolateParams = (params: Readonly<Record<string, unknown>>, context: ModeContext): Record<string, string> =>
    fillParams(params, { connectionConfig: context.connectionConfig, random: newRandomId(context.sources) });

const pickStrings = (source: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(names.flatMap((name) => (typeof source[name] === 'string' ? [[name, source[name]]] : [])));
