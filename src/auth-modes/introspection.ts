/** Token introspection (RFC 7662), where it is the only way to learn how long a token lives (R14). */
import { parseExpiresAt } from '../credentials/expiry.ts';
import type { Confirmation } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import type { Introspection } from '../providers/exceptions/token-exception.ts';
import type { ModeContext } from './auth-mode.ts';
import { asTokenFailure, buildUrl } from './fill-template.ts';
import { isListedHost } from './secret-destination.ts';
import { callTokenEndpoint, readAnswer, shapesOf, type TokenCall } from './token-endpoint.ts';

export interface IntrospectedToken {
    accessToken: string;
    /** The client that the token was issued to. */
    client: { id: string; secret: string };
    /** The answer it came in. */
    raw: Readonly<Record<string, unknown>>;
}

/** `undefined`: there is nobody to ask, or nobody who may be told the client's secret. */
export function requestIntrospection(
    context: ModeContext,
    introspection: Introspection | undefined,
    { accessToken, client, raw }: IntrospectedToken,
): ((deadlineMs: number) => TokenCall) | undefined {
    const url = introspection?.url(context.connectionConfig, raw);
    if (introspection === undefined || url === undefined || accessToken === '' || !mayBeTold(url, introspection, context)) {
        return undefined;
    }
    const params = { token: accessToken, token_type_hint: 'access_token', client_id: client.id, client_secret: client.secret };
    return (deadlineMs) => ({
        request: {
            url,
            method: 'POST',
            headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
            body: new URLSearchParams(params).toString(),
            deadlineMs,
        },
        secrets: [accessToken, client.secret].flatMap(shapesOf),
    });
}

/** The host must be of the token endpoint's family: a token answer names it, and the client's secret goes there. */
function mayBeTold(url: URL, introspection: Introspection, { provider, integration, connectionConfig }: ModeContext): boolean {
    const tokenUrl = provider.tokenUrl && asTokenFailure(() => buildUrl(provider.tokenUrl!, { connectionConfig }));
    const listed = integration.allowedHosts ?? provider.entry.allowed_hosts ?? introspection.hosts;
    return url.host === tokenUrl?.host || listed.some((entry) => isListedHost(url, entry));
}

/** Never throws: whoever cannot be asked has said nothing. */
export async function confirmByIntrospection(
    context: ModeContext,
    introspection: Introspection | undefined,
    token: IntrospectedToken,
    deadlineMs: number,
): Promise<Confirmation> {
    try {
        const request = requestIntrospection(context, introspection, token);
        if (request === undefined) {
            return 'unknown';
        }
        const receipt = await callTokenEndpoint(context.egress, request(deadlineMs));
        const { active, exp } = readAnswer(receipt);
        const expiresAt = parseExpiresAt(exp, receipt.requestedAt);
        return active === false ? 'inactive' : active === true && expiresAt !== null ? { expiresAt } : 'unknown';
    } catch (error) {
        if (error instanceof TokenFailure) {
            return 'unknown';
        }
        throw error;
    }
}
