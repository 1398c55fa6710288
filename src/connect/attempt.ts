/** One attempt to connect: the checks that every way of connecting makes first, in the contract's order (http-api §11.2, §12.1). */
import { ConnectFailure, type AuthMode } from '../auth-modes/auth-mode.ts';
import { authModes } from '../auth-modes/index.ts';
import { checkConnectionConfig, missingConnectionConfig } from '../providers/fields.ts';
import type { Provider } from '../providers/provider.ts';
import * as connections from '../store/connections.ts';
import type { SessionRead } from '../store/connect-sessions.ts';
import * as integrations from '../store/integrations.ts';
import type { ConnectionRow, IntegrationRow } from '../store/schema.ts';
import { newRandomId } from '../sources.ts';
import { sessionDefaults, type ConnectContext, type IntegrationDefaults } from './connect-session.ts';

export interface Attempt {
    session: SessionRead;
    integration: IntegrationRow;
    provider: Provider;
    mode: AuthMode;
    defaults: IntegrationDefaults;
    /** The public id the connection has or will have. */
    connectionId: string;
    /** The connection that a reconnect session renews. */
    existing: ConnectionRow | undefined;
}

export interface ResolvedTarget {
    integration: IntegrationRow;
    provider: Provider;
    mode: AuthMode | undefined;
}

/** Looks up what the attempt names. @throws ConnectFailure `unknown_provider_config`, `unknown_provider_template` */
export async function resolveTarget(context: ConnectContext, session: SessionRead, integrationKey: string): Promise<ResolvedTarget> {
    const integration = await integrations.findByKey(context.db, session.environment_id, integrationKey);
    if (integration === undefined) {
        throw new ConnectFailure('unknown_provider_config', 'There is no integration with this key in the environment of the connect session.');
    }
    const provider = context.catalogue.get(integration.provider);
    if (provider === undefined) {
        throw new ConnectFailure('unknown_provider_template', `The provider "${integration.provider}" of this integration is not in the catalogue.`);
    }
    return { integration, provider, mode: authModes.get(provider.authMode) };
}

/** Applies the session's limits. @throws ConnectFailure `integration_not_allowed`, `invalid_connection` */
export async function admit<Target extends ResolvedTarget>(
    context: ConnectContext,
    session: SessionRead,
    target: Target,
): Promise<Omit<Attempt, 'mode'> & Pick<Target, 'mode'>> {
    const { integration } = target;
    if (session.allowed_integrations !== null && !session.allowed_integrations.includes(integration.unique_key)) {
        throw new ConnectFailure('integration_not_allowed', 'This connect session does not allow this integration.');
    }
    const existing = session.connection_id === null ? undefined : await connections.findById(context.db, session.connection_id);
    if (session.connection_id !== null && existing?.integration_id !== integration.id) {
        throw new ConnectFailure('invalid_connection', 'The connection to be renewed no longer exists.');
    }
    const defaults = (await sessionDefaults(context, session))[integration.unique_key] ?? {};
    return { session, ...target, defaults, existing, connectionId: existing?.connection_id ?? newRandomId(context.sources) };
}

/**
 * The connection configuration of this attempt: the browser's `params` under the session's defaults, both checked against
 * the catalogue on this side of the wire (N1, N3). @throws ConnectFailure `url_param_err` naming the fields
 */
export function connectionConfig(
    attempt: Pick<Attempt, 'provider' | 'defaults'>,
    params: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
    const { provider, defaults } = attempt;
    // What is asked of the provider is the backend's to widen, through its session (S3, http-api §4.6).
    const { webhook_url: _superseded, oauth_scopes_override: _sessionOnly, ...browserParams } = params;
    const preset = defaults.connection_config ?? {};
    // A preset wins, so the browser's value for the same name is not even looked at.
    const own = Object.fromEntries(Object.entries(browserParams).filter(([name, value]) => typeof value === 'string' && !(name in preset)));
    const fromBrowser = checkConnectionConfig(provider, own, 'browser');
    const fromSession = checkConnectionConfig(provider, preset, 'backend');
    const issues = [...fromBrowser.issues, ...fromSession.issues];
    if (issues.length > 0) {
        const named = [...new Set(issues.map((issue) => issue.message))];
        throw new ConnectFailure('url_param_err', `These connection parameters are not accepted: ${named.join(' ')}`);
    }
    const merged = { ...fromBrowser.values, ...fromSession.values };
    const missing = missingConnectionConfig(provider, merged);
    if (missing.length > 0) {
        throw new ConnectFailure('url_param_err', `These connection parameters are missing: ${missing.join(', ')}.`);
    }
    return merged;
}
