/** Token calls of clients that registered themselves: one that its server no longer knows is replaced, once (M3). */
import type { Credentials, OAuth2Credentials } from '../../credentials/credential.ts';
import { shortestCallMs } from '../../credentials/present-grant.ts';
import type { RenewalStrategy, TokenReceipt } from '../../credentials/renewal-strategy.ts';
import { TokenFailure } from '../../credentials/token-failure.ts';
import { ConnectFailure, type ModeContext } from '../auth-mode.ts';
import { refreshTokenGrant } from '../oauth2.ts';
import { hostOf, requestToken, type TokenRequest } from '../token-endpoint.ts';
import { authenticatedAs, clientAuthMethods, clientOf, hasExpired, type Client, type RegistrationRequest } from './client-registration.ts';
import { RegistrationFailure } from './dynamic-registration.ts';
import { asObject, listOf, textOf } from './json-document.ts';

/** What is said, without who says it. */
export type TokenCall = Pick<TokenRequest, 'url' | 'params' | 'bodyFormat' | 'deadlineMs' | 'secrets'>;

export interface Presenter {
    client: Client;
    /** `undefined`: the client cannot be replaced. */
    registration: RegistrationRequest | undefined;
}

/** @returns the answer, and the client that got it. @throws TokenFailure */
export async function requestAsClient(
    context: Pick<ModeContext, 'integration' | 'egress' | 'sources' | 'clients'>,
    call: TokenCall,
    { client, registration }: Presenter,
): Promise<{ receipt: TokenReceipt; client: Client }> {
    const { sources, egress } = context;
    const until = sources.now() + call.deadlineMs;
    const timeLeft = (): number => Math.max(1, until - sources.now());
    const send = async (as: Client) => {
        if (timeLeft() < shortestCallMs) {
            throw new TokenFailure('transient', 'There was no time left to ask as the new OAuth client.', { isUnasked: true });
        }
        return { receipt: await requestToken(egress, { ...call, ...authenticatedAs(as), deadlineMs: timeLeft() }), client: as };
    };
    const isSpent = hasExpired(client, sources.now());
    try {
        if (!isSpent) {
            return await send(client);
        }
    } catch (error) {
        if (!(error instanceof TokenFailure && error.isClientRefused) || registration === undefined) {
            throw error;
        }
    }
    if (registration === undefined) {
        return send(client);
    }
    const replacement = await replace(context, registration, client, timeLeft());
    try {
        return await send(replacement);
    } catch (error) {
        // RFC 6749 §6: a grant belongs to its client, and few servers carry it over to another.
        if (error instanceof TokenFailure && error.isGrantRefused && replacement.client_id !== client.client_id) {
            throw new TokenFailure(
                'permanent',
                'The provider no longer knows the OAuth client that this access was granted to. Another one was registered; please connect again.',
                { code: 'invalid_grant' },
            );
        }
        throw error;
    }
}

async function replace(
    { integration, clients, egress }: Pick<ModeContext, 'integration' | 'clients' | 'egress'>,
    registration: RegistrationRequest,
    client: Client,
    deadlineMs: number,
): Promise<Client> {
    try {
        return clientOf(await clients.renew(integration, registration, client, deadlineMs, egress));
    } catch (error) {
        if (error instanceof RegistrationFailure) {
            const message = `The provider no longer accepts its OAuth client. ${error.message}`;
            throw error.isOutage ? new TokenFailure('transient', message) : new TokenFailure('permanent', message, { code: 'invalid_client' });
        }
        throw error instanceof ConnectFailure ? new TokenFailure('unknown', error.message) : error;
    }
}

/** The client as a connection keeps it; also as the text that the reference has. */
export function storedClient({ oauth_client_info: stored }: Readonly<Record<string, unknown>>): Client | undefined {
    const info = asObject(stored);
    const client_id = info && textOf(info, 'client_id');
    if (info === undefined || client_id === undefined) {
        return undefined;
    }
    const secret = textOf(info, 'client_secret', 4096);
    const named = clientAuthMethods.find((method) => method === info['token_endpoint_auth_method']);
    const method = secret === undefined ? 'none' : (named ?? 'client_secret_post');
    const expiresAt = Number(info['client_secret_expires_at'] ?? 0);
    return {
        client_id,
        ...(method === 'none' ? {} : { client_secret: secret! }),
        ...(method !== 'none' && expiresAt > 0 ? { client_secret_expires_at: expiresAt } : {}),
        token_endpoint_auth_method: method,
        redirect_uris: listOf(info, 'redirect_uris') ?? [],
    };
}

/** Renewal by refresh token (RFC 6749 §6), as the client that the grant was given to. */
export function renewalAs(
    context: ModeContext,
    current: Credentials,
    grant: {
        presenter: Presenter;
        /** @throws TokenFailure */
        request(refreshToken: string): Pick<TokenCall, 'url' | 'params' | 'bodyFormat'>;
    },
): RenewalStrategy {
    const usual = refreshTokenGrant(context, current);
    const { presenter, request } = grant;
    return {
        ...usual,
        tokenHost: () => hostOf(() => request('').url),
        present: async (credentials, refreshToken, deadlineMs) => {
            const { url, params, bodyFormat } = request(refreshToken ?? '');
            const secrets = [(credentials as OAuth2Credentials).access_token];
            const { receipt, client } = await requestAsClient(context, { url, params, bodyFormat, deadlineMs, secrets }, presenter);
            return client === presenter.client ? receipt : { ...receipt, further: { client } };
        },
        interpret: (receipt, credentials) => {
            const obtained = usual.interpret(receipt, credentials);
            const client = receipt.further?.['client'];
            // Kept with the tokens it got: they belong together.
            return client === undefined ? obtained : { ...obtained, derivedConfig: { ...obtained.derivedConfig, oauth_client_info: client } };
        },
    };
}
