/** A webhook that tells of nothing, for trying a receiver out (W16). It is signed and sent like any other, and kept nowhere. */
import type { Egress } from '../egress/egress.ts';
import type { Sources } from '../sources.ts';
import { attempt, type Attempt } from './attempt.ts';
import { authPayload } from './auth-events.ts';
import { newEventId, stableJson } from './enqueue.ts';
import type { LiveSigningKeys } from './signature.ts';

export async function sendTestEvent(
    dependencies: { egress: Egress; sources: Sources },
    environment: { id: string; name: string },
    { url, followRedirects }: { url: string; followRedirects: boolean },
    keys: LiveSigningKeys,
): Promise<Attempt & { id: string }> {
    const { sources } = dependencies;
    const id = newEventId(sources);
    const payload = authPayload({
        environment,
        connectionId: 'test-connection',
        providerConfigKey: 'test-integration',
        provider: 'test',
        authMode: 'NONE',
        operation: 'creation',
        tags: {},
        urlOverride: null,
    });
    const body = stableJson({ ...payload, test: true });
    const made = await attempt(dependencies, url, keys, {
        id,
        createdAt: new Date(sources.now()),
        body,
        sequence: null,
        isRedelivery: false,
        followRedirects,
    });
    return { id, ...made };
}
