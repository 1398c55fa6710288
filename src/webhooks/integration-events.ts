/** Events about integrations (§8.2). They never say what was changed to what: bodies hold no secrets. */
import type { Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import { enqueue } from './enqueue.ts';

export interface IntegrationEvent {
    environment: { id: string; name: string };
    providerConfigKey: string;
    provider: string;
    operation: 'credentials_changed';
}

/** Call it in the transaction of the change it tells of (W1). @returns the event's id, if it goes anywhere. */
export function enqueueIntegrationEvent(db: Db, sources: Sources, event: IntegrationEvent): Promise<string | undefined> {
    const { environment, providerConfigKey, provider, operation } = event;
    return enqueue(db, sources, {
        kind: `integration.${operation}`,
        environmentId: environment.id,
        connectionRowId: null,
        connectionId: null,
        urlOverride: null,
        providerConfigKey,
        type: 'integration',
        operation,
        payload: { from: 'nango', type: 'integration', operation, providerConfigKey, provider, environment: environment.name, success: true },
    });
}
