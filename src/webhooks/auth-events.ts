/**
 * Webhooks to the customer's backend: the outbox, signatures, delivery.
 *
 * An event is written in the transaction of the change it tells of (W1), with one delivery row per destination (W2), and
 * its body is stored as the exact bytes that will be signed and sent (W19). Sending is `delivery.ts`.
 */
import { newRowId, type Sources } from '../sources.ts';
import type { Db } from '../store/database.ts';
import * as outbox from '../store/webhook-outbox.ts';
import * as webhookSettings from '../store/webhook-settings.ts';
import type { EndUser, WebhookSettingsRow } from '../store/schema.ts';

export interface AuthEvent {
    environment: { id: string; name: string };
    /** Absent when the attempt left no connection. */
    connectionRowId?: string;
    connectionId: string;
    providerConfigKey: string;
    provider: string;
    authMode: string;
    operation: 'creation' | 'override' | 'refresh' | 'verification' | 'expiring';
    /** Only of a real connection. */
    tags?: Record<string, string>;
    endUser?: EndUser | null;
    urlOverride: string | null;
    /** Absent: success. */
    error?: { type: string; description: string };
}

/** Adds the event to the outbox if its environment wants it and has somewhere to send it. @returns its id. */
export async function enqueueAuthEvent(db: Db, sources: Sources, event: AuthEvent): Promise<string | undefined> {
    const settings = await webhookSettings.read(db, event.environment.id);
    const destinations = settings === undefined || !isWanted(settings, event) ? [] : destinationsOf(settings, event.urlOverride);
    if (destinations.length === 0) {
        return undefined;
    }
    const at = new Date(sources.now());
    const id = newEventId(sources);
    await outbox.insertEvent(db, {
        id,
        environment_id: event.environment.id,
        connection_row_id: event.connectionRowId ?? null,
        type: 'auth',
        operation: event.operation,
        body: stableJson(authPayload(event)),
        created_at: at,
    });
    await outbox.insertDeliveries(
        db,
        destinations.map((target) => ({
            id: newRowId(sources),
            event_id: id,
            environment_id: event.environment.id,
            destination: target.destination,
            url: target.url,
            state: 'pending' as const,
            next_attempt_at: at,
            created_at: at,
        })),
    );
    return id;
}

/** §1.3: creations and refresh failures have a switch each; `override` is gated by the presence of a URL only. */
function isWanted(settings: WebhookSettingsRow, { operation, error }: AuthEvent): boolean {
    switch (operation) {
        case 'override':
            return true;
        case 'creation':
            return settings.on_auth_creation;
        case 'refresh':
            return error !== undefined && settings.on_auth_refresh_error;
        case 'verification':
        case 'expiring':
            return false;
    }
}

/** §1.2: an override is the only destination; otherwise primary and secondary, each if set and not disabled. */
function destinationsOf(
    settings: WebhookSettingsRow,
    urlOverride: string | null,
): { destination: 'primary' | 'secondary' | 'override'; url: string }[] {
    if (urlOverride) {
        return [{ destination: 'override', url: urlOverride }];
    }
    const candidates = [
        { destination: 'primary' as const, url: settings.primary_url, disabled: settings.primary_disabled_reason },
        { destination: 'secondary' as const, url: settings.secondary_url, disabled: settings.secondary_disabled_reason },
    ];
    return candidates.flatMap(({ destination, url, disabled }) => (url && disabled === null ? [{ destination, url }] : []));
}

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

/** Compact JSON with keys in ascending order at every level, so that a body is one sequence of bytes. */
export function stableJson(value: unknown): string {
    return JSON.stringify(value, (_key, member: unknown) =>
        typeof member === 'object' && member !== null && !Array.isArray(member)
            ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
            : member,
    );
}

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** W3: `msg_` and a ULID: 48 bits of time, 80 of chance, in Crockford's base 32. */
function newEventId(sources: Sources): string {
    const time = Buffer.alloc(6);
    time.writeUIntBE(sources.now(), 0, 6);
    let rest = BigInt(`0x${Buffer.concat([time, sources.random(10)]).toString('hex')}`);
    let text = '';
    for (let digit = 0; digit < 26; digit += 1) {
        text = crockford[Number(rest & 31n)] + text;
        rest >>= 5n;
    }
    return `msg_${text}`;
}
