/**
 * Webhooks to the customer's backend: the outbox, signatures, delivery.
 *
 * An event is written in the transaction of the change it tells of (W1), with one delivery row per destination (W2), and
 * its body is stored as the exact bytes that will be signed and sent (W19). Sending is `delivery.ts`.
 */
import type { Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import type { EndUser, PostConnectionStatus } from '../store/schema.ts';
import { enqueue } from './enqueue.ts';
import type { EventKind } from './event-kinds.ts';

export interface AuthEvent {
    environment: { id: string; name: string };
    /** Absent when the attempt left no connection. */
    connectionRowId?: string;
    connectionId: string;
    providerConfigKey: string;
    provider: string;
    authMode: string;
    operation: 'creation' | 'override' | 'refresh' | 'deletion' | 'verification' | 'expiring';
    /** Only of a real connection. */
    tags?: Record<string, string>;
    endUser?: EndUser | null;
    urlOverride: string | null;
    /** What the connection lacks just now. A header: the body has exactly the reference's fields. */
    postConnectionStatus?: PostConnectionStatus | null;
    /** Absent: success. */
    error?: { type: string; description: string };
}

/** Adds the event to the outbox if its environment wants it. @returns its id. */
export function enqueueAuthEvent(db: Db, sources: Sources, event: AuthEvent): Promise<string | undefined> {
    return enqueue(db, sources, {
        kind: kindOf(event),
        environmentId: event.environment.id,
        connectionRowId: event.connectionRowId ?? null,
        connectionId: event.connectionId,
        urlOverride: event.urlOverride,
        providerConfigKey: event.providerConfigKey,
        type: 'auth',
        operation: event.operation,
        postConnectionStatus: event.postConnectionStatus ?? null,
        payload: authPayload(event),
    });
}

/** A `refresh` without an error says that a reported failure is over; whoever asks for failures only does not get it. */
const kindOf = ({ operation, error }: AuthEvent): EventKind =>
    operation === 'refresh' && error === undefined ? 'auth.recovery' : `auth.${operation}`;

/** The body of §1.4: exactly the reference's fields. Unset optional fields are omitted, except `endUserEmail`. */
export function authPayload(event: AuthEvent): Record<string, unknown> {
    return {
        from: 'nango',
        type: 'auth',
        connectionId: event.connectionId,
        providerConfigKey: event.providerConfigKey,
        authMode: event.authMode,
        provider: event.provider,
        environment: event.environment.name,
        operation: event.operation,
        success: event.error === undefined,
        tags: event.tags,
        endUser: event.endUser
            ? {
                  endUserId: event.endUser.id,
                  endUserEmail: event.endUser.email,
                  organizationId: event.endUser.organization?.id,
                  tags: event.endUser.tags ?? {},
              }
            : undefined,
        error: event.error,
    };
}
