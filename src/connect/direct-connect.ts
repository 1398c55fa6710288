/** Connecting with typed-in credentials: checked against the entry, tested at the provider, then stored. */
import { ConnectFailure, type DirectFlow, type ModeContext } from '../auth-modes/auth-mode.ts';
import { openIntegration } from '../auth-modes/open-integration.ts';
import { recorded } from '../auth-modes/recorded-context.ts';
import { openConfig } from '../credentials/connection-secrets.ts';
import type { Obtained } from '../credentials/credential.ts';
import { checkCredentials, trimCredentials } from '../providers/fields.ts';
import { presetCredentials } from '../providers/integration-config.ts';
import { connectionConfig, type Attempt } from './attempt.ts';
import { attemptBegun, credentialsTaken, recording } from './attempt-steps.ts';
import type { ConnectContext } from './connect-session.ts';
import { describeFailure, recordFailedAttempt } from './failed-attempt.ts';
import { saveConnection, type SavedConnection } from './save-connection.ts';

export interface DirectRequest {
    params: Readonly<Record<string, unknown>>;
    /** The validated body, e.g. `{apiKey}`. */
    submitted: Readonly<Record<string, unknown>>;
}

/** @throws ConnectFailure `connection_test_failed`, `url_param_err`, …; the session's outcome says so too. */
export async function connectDirectly(given: ConnectContext, attempt: Attempt, request: DirectRequest): Promise<SavedConnection> {
    const { provider, mode, session, integration } = attempt;
    const context = recording(given);
    if (mode.direct === undefined) {
        throw new ConnectFailure('invalid_auth_mode', `${provider.displayName} is not connected with typed-in credentials.`);
    }
    attemptBegun(context, attempt, 'typed-in credentials');
    try {
        const config = { ...connectionConfig(attempt, request.params), ...sessionAuthorizationParams(attempt) };
        const effective = await openIntegration(context.vault, integration, session.is_production);
        const storedConfig = attempt.existing && (await openConfig(context.vault, attempt.existing));
        const modeContext = { ...context, provider, integration: effective, connectionConfig: config };
        const obtained = await proveSubmitted(
            mode.direct,
            recorded(context.record, modeContext, () => request.submitted),
            request.submitted,
            storedConfig,
        );
        credentialsTaken(context, obtained);
        // N3: what the provider says about the account wins over what was typed in.
        return await saveConnection(context, attempt, obtained, { ...config, ...obtained.derivedConfig }, effective);
    } catch (error) {
        const { type, description, isExpected } = describeFailure(error);
        await recordFailedAttempt(context, {
            session,
            providerConfigKey: integration.unique_key,
            connectionId: attempt.connectionId,
            error: { type, description },
            // Rejected credentials send no webhook (§1.3): the person is still at the form.
            ...(isExpected ? {} : { webhook: { provider: provider.name, authMode: provider.authMode, errorType: 'unknown' } }),
        });
        throw error;
    }
}

/** They join each request of a client for a token (auth-modes §5), so they stay with the connection. A browser cannot set them. */
const sessionAuthorizationParams = ({ provider, defaults }: Attempt): Record<string, unknown> =>
    provider.authMode === 'OAUTH2_CC' && defaults.authorization_params !== undefined ? { authorization_params: defaults.authorization_params } : {};

/** Typed-in credentials, held to the entry's rules and tested at the provider. @throws ConnectFailure `connection_test_failed` */
export async function proveSubmitted(
    direct: DirectFlow,
    context: ModeContext,
    typedIn: Readonly<Record<string, unknown>>,
    storedConfig?: Readonly<Record<string, unknown>>,
): Promise<Obtained> {
    const own = direct.own?.(context, typedIn) ?? typedIn;
    const asTyped = direct.asTyped?.(own) ?? own;
    const texts = Object.fromEntries(Object.entries(asTyped).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
    const trimmed = trimCredentials(texts);
    const presets = presetCredentials(context.provider, context.integration.extras.config ?? {});
    // What the integration sets is not asked for.
    const faults = checkCredentials(context.provider, trimmed).filter(({ path }) => !Object.hasOwn(presets, path[0] ?? ''));
    if (faults.length > 0) {
        // The messages name their fields.
        throw new ConnectFailure('connection_test_failed', `These credentials cannot be right: ${faults.map((fault) => fault.message).join(' ')}`);
    }
    return direct.create({ ...context, submitted: { ...own, ...trimmed }, ...(storedConfig ? { storedConfig } : {}) });
}
