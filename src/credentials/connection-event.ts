/** What every event about a stored connection says of it (webhooks §1.4). */
import type { RenewalTarget } from '../store/renewal-targets.ts';
import type { AuthEvent } from '../webhooks/auth-events.ts';

export const eventAbout = (target: RenewalTarget, authMode: string): Omit<AuthEvent, 'operation' | 'error'> => ({
    environment: { id: target.environment_id, name: target.environment_name },
    connectionRowId: target.id,
    connectionId: target.connection_id,
    providerConfigKey: target.integration.unique_key,
    provider: target.provider,
    authMode,
    tags: target.tags,
    urlOverride: target.webhook_url_override,
});
