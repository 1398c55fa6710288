/** Makes what a mode says to a provider part of an operation's record, and tells the record what must not be seen there. */
import { isSecretName } from '../credentials/connection-secrets.ts';
import type { OperationRecord } from '../egress/operation-record.ts';
import type { ModeContext } from './auth-mode.ts';

type Known = Pick<ModeContext, 'provider' | 'integration' | 'connectionConfig' | 'egress'>;

/** The same context, with its calls recorded. @param secrets what else is used in them: codes, typed-in values, credentials */
export function recorded<Context extends Known>(record: OperationRecord | undefined, context: Context, secrets?: () => unknown): Context {
    if (record === undefined) {
        return context;
    }
    record.conceal(() => [secretsOf(context), secrets?.()]);
    record.show(() => shownConfig(context));
    return { ...context, egress: record.through(context.egress) };
}

function secretsOf({ provider, integration, connectionConfig }: Known): unknown {
    const { clientId, clientSecret, extras } = integration;
    const isSecret = (name: string): boolean => provider.entry.connection_config?.[name]?.secret === true || isSecretName(name);
    return [clientId, clientSecret, extras, Object.entries(connectionConfig).flatMap(([name, value]) => (isSecret(name) ? [value] : []))];
}

/** Tenants and sub-domains that the entry asks for: the first thing to look at when an address is wrong. */
function shownConfig({ provider, connectionConfig }: Known): string[] {
    return Object.entries(provider.entry.connection_config ?? {}).flatMap(([name, { secret }]) => {
        const value = connectionConfig[name];
        return secret === true || isSecretName(name) || typeof value !== 'string' ? [] : [value];
    });
}
