/** The end of a failure that was reported (§8.2): one `refresh` event that says success, for endpoints that ask for `auth.recovery`. */
import type { Sources } from '../sources.ts';
import type { RenewalTarget } from '../store/credential-writes.ts';
import type { Db } from '../store/database.ts';
import { enqueueAuthEvent } from '../webhooks/auth-events.ts';
import type { RenewalStrategies } from './renewal-strategy.ts';

/** Of a target whose failure was reported, in the transaction that writes its new credentials, and with that forgets the report: so it is told once. */
export async function tellOfRecovery(
    db: Db,
    sources: Sources,
    target: RenewalTarget,
    strategies: Pick<RenewalStrategies, 'authModeOf'>,
): Promise<void> {
    await enqueueAuthEvent(db, sources, {
        environment: { id: target.environment_id, name: target.environment_name },
        connectionRowId: target.id,
        connectionId: target.connection_id,
        providerConfigKey: target.integration.unique_key,
        provider: target.provider,
        authMode: strategies.authModeOf(target.provider),
        operation: 'refresh',
        tags: target.tags,
        urlOverride: target.webhook_url_override,
    });
}
