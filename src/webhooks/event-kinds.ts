/** The kinds of events that an endpoint can ask for (§8.2, W18). */

/** What an unchanged handler written for the reference knows. Everything else is sent only where it is asked for by name. */
export const defaultEventKinds = ['auth.creation', 'auth.override', 'auth.refresh'] as const;

export const optInEventKinds = ['auth.recovery', 'auth.deletion', 'auth.verification', 'auth.expiring', 'integration.credentials_changed'] as const;

export const eventKinds = [...defaultEventKinds, ...optInEventKinds] as const;

export type EventKind = (typeof eventKinds)[number];

export const isOptIn = (kind: EventKind): boolean => (optInEventKinds as readonly EventKind[]).includes(kind);
