/**
 * Which screen is shown, and what the embedding page is told on the way there (frontend contract §2.3, §2.4, §3.2, §3.4). Pure:
 * `controller.ts` and those it shares `page.ts` with do what takes time and report it here as events.
 */
import type { Connected, Integration, Provider, Session } from './api-types.ts';
import type { Field } from './fields.ts';

/** What the form is about. */
export interface Subject {
    readonly integration: Integration;
    readonly provider: Provider;
    readonly fields: readonly Field[];
    readonly helpUrl: string | undefined;
}

/** A redirect flow that was begun. It may end at any time, whatever is shown meanwhile (§7.5). */
export interface Attempt {
    readonly flowId: string;
    /** Where the flow begins, for a person to open. */
    readonly link: string;
    /** In this tab: the page is about to be left, or was just come back to. */
    readonly isSameTab?: boolean;
    /** This page holds the window that it opened. */
    readonly hasWindow?: boolean;
    /** The browser was seen on its way to the provider. */
    readonly isStarted?: boolean;
    /** The provider has sent the browser back, and the server is at work. */
    readonly isReturned?: boolean;
    /** A failure was told; there is no second `error` event about the same attempt (§7.10). */
    readonly isReported?: boolean;
}

export interface Failure {
    readonly type: string;
    /** For a person, in details. */
    readonly message: string;
    /** As far as the server names it. */
    readonly integrationKey?: string | undefined;
}

/** Above the fields of a form. */
export type Alert = 'blocked' | 'closed';

export type Screen =
    | { readonly name: 'boot' | 'loading' }
    | { readonly name: 'no-token' | 'expired' | 'error' | 'empty' }
    /** `picked`: its provider is being looked up, or could not be. */
    | { readonly name: 'list'; readonly picked?: { readonly key: string; readonly hasFailed: boolean } }
    | { readonly name: 'form'; readonly subject: Subject; readonly isBusy?: boolean; readonly alert?: Alert }
    | { readonly name: 'waiting'; readonly subject: Subject | undefined }
    | { readonly name: 'success' | 'pending'; readonly subject: Subject | undefined; readonly connected: Connected }
    | { readonly name: 'failure'; readonly subject: Subject | undefined; readonly failure: Failure }
    | { readonly name: 'unsupported'; readonly subject: Subject };

export interface Draft {
    readonly values: Readonly<Record<string, string>>;
    readonly isEdited: boolean;
}

export interface State {
    readonly screen: Screen;
    readonly session?: Session;
    readonly integrations?: readonly Integration[];
    readonly attempt?: Attempt;
    /** By integration: what was typed survives a failure and a look at the list. */
    readonly drafts: Readonly<Record<string, Draft>>;
}

export type Event =
    | { readonly type: 'token missing' | 'token received' | 'session expired' | 'load failed' | 'retried' | 'went back' | 'submitted' | 'gave up' }
    /** By the browser's Back, whatever was shown. */
    | { readonly type: 'moved to list' }
    | { readonly type: 'loaded'; readonly session: Session; readonly integrations: readonly Integration[]; readonly opensForm?: boolean }
    | { readonly type: 'settings changed'; readonly settings: Session['connectUISettings'] }
    | { readonly type: 'picked' | 'pick failed'; readonly key: string }
    | { readonly type: 'subject loaded'; readonly subject: Subject; readonly isSupported: boolean; readonly invalidPreset?: string }
    | { readonly type: 'edited'; readonly key: string; readonly id: string; readonly value: string; readonly isByHand: boolean }
    | { readonly type: 'flow begun'; readonly attempt: Attempt }
    | { readonly type: 'flow started' | 'flow returned'; readonly flowId: string }
    | { readonly type: 'flow lost'; readonly flowId: string; readonly alert: Alert; readonly error?: Failure }
    | { readonly type: 'flow failed'; readonly flowId: string; readonly failure: Failure }
    | { readonly type: 'connected'; readonly connected: Connected }
    | { readonly type: 'failed'; readonly failure: Failure };

export type HostMessage =
    | { readonly type: 'ready' | 'close' }
    | { readonly type: 'connect'; readonly payload: { providerConfigKey: string; connectionId: string; isPending?: boolean } }
    | { readonly type: 'error'; readonly payload: { errorType: string; errorMessage: string } };

export interface Step {
    readonly state: State;
    /** Sent before the new screen is drawn. */
    readonly messages: readonly HostMessage[];
}

export const firstState: State = { screen: { name: 'boot' }, drafts: {} };

/** The session allows one integration and no other: there is no list (§3.2). */
export const isSingle = ({ session, integrations }: State): boolean => integrations?.length === 1 && session?.allowed_integrations?.length === 1;

export const subjectOf = ({ screen }: State): Subject | undefined => ('subject' in screen ? screen.subject : undefined);

export const isDirty = ({ drafts }: State): boolean => Object.values(drafts).some(({ isEdited }) => isEdited);

const hasEnded = ({ screen: { name } }: State): boolean => name === 'success' || name === 'pending';

export function step(state: State, event: Event): Step {
    const show = (screen: Screen, more: Partial<State> = {}, ...messages: HostMessage[]): Step => ({
        state: { ...state, ...more, screen },
        messages,
    });
    const same: Step = { state, messages: [] };
    const { screen, attempt } = state;
    switch (event.type) {
        case 'token missing':
            return screen.name === 'boot' ? show({ name: 'no-token' }) : same;
        case 'token received':
        case 'retried':
            return { state: { screen: { name: 'loading' }, drafts: state.drafts }, messages: [] };
        case 'session expired':
            // What is connected stays connected, and its screen stays.
            return hasEnded(state) ? same : show({ name: 'expired' });
        case 'load failed':
            return screen.name === 'loading' ? show({ name: 'error' }) : same;
        case 'loaded': {
            const { session, integrations } = event;
            const loaded = { ...state, session, integrations };
            if (integrations.length === 0) return show({ name: 'empty' }, loaded);
            return isSingle(loaded) || event.opensForm ? show({ name: 'loading' }, loaded) : show({ name: 'list' }, loaded);
        }
        case 'settings changed':
            return state.session ? show(screen, { session: { ...state.session, connectUISettings: event.settings } }) : same;
        case 'picked':
            return screen.name === 'list' ? show({ name: 'list', picked: { key: event.key, hasFailed: false } }) : same;
        case 'pick failed':
            if (screen.name === 'list') return show({ name: 'list', picked: { key: event.key, hasFailed: true } });
            return screen.name === 'loading' ? show({ name: 'error' }) : same;
        case 'subject loaded':
            return subjectLoaded(event, show);
        case 'edited': {
            const draft = state.drafts[event.key];
            const values = { ...draft?.values, [event.id]: event.value };
            return show(screen, { drafts: { ...state.drafts, [event.key]: { values, isEdited: (draft?.isEdited ?? false) || event.isByHand } } });
        }
        case 'went back': {
            // Waiting and failure lead to the form, where there is one.
            const subject = subjectOf(state);
            if (subject && (screen.name === 'waiting' || screen.name === 'failure')) return show({ name: 'form', subject });
            return isSingle(state) || state.integrations === undefined ? same : show({ name: 'list' });
        }
        case 'moved to list':
            return isSingle(state) || !state.integrations?.length || screen.name === 'expired' ? same : show({ name: 'list' });
        case 'submitted':
            return screen.name === 'form' ? show({ name: 'form', subject: screen.subject, isBusy: true }) : same;
        case 'gave up':
            return screen.name === 'waiting' && screen.subject ? show({ name: 'form', subject: screen.subject }) : same;
        case 'flow begun':
            return show({ name: 'waiting', subject: subjectOf(state) }, { attempt: event.attempt });
        case 'flow started':
        case 'flow returned': {
            // Given up for lost, and there it is.
            if (attempt?.flowId !== event.flowId || hasEnded(state)) return same;
            const seen = { isStarted: true, ...(event.type === 'flow returned' ? { isReturned: true } : {}) };
            const isGivenUp = screen.name === 'form' && screen.alert !== undefined;
            return show(isGivenUp ? { name: 'waiting', subject: screen.subject } : screen, { attempt: { ...attempt, ...seen } });
        }
        case 'flow lost': {
            if (attempt?.flowId !== event.flowId || screen.name !== 'waiting' || !screen.subject) return same;
            const reported = event.error === undefined || attempt.isReported ? [] : [errorMessage(event.error)];
            const isReported = attempt.isReported === true || event.error !== undefined;
            return show({ name: 'form', subject: screen.subject, alert: event.alert }, { attempt: { ...attempt, isReported } }, ...reported);
        }
        case 'flow failed': {
            // An earlier attempt that a retry has replaced is nobody's concern.
            if (attempt?.flowId !== event.flowId || hasEnded(state)) return same;
            const { attempt: _, ...rest } = state;
            const messages = attempt.isReported ? [] : [errorMessage(event.failure)];
            return { state: { ...rest, screen: { name: 'failure', subject: subjectOf(state), failure: event.failure } }, messages };
        }
        case 'connected': {
            if (hasEnded(state)) return same;
            const { providerConfigKey, connectionId, isPending } = event.connected;
            const payload = { providerConfigKey, connectionId, ...(isPending ? { isPending } : {}) };
            const { attempt: _, ...rest } = state;
            // Nothing that was typed is kept once it is stored.
            const shown = { name: isPending ? 'pending' : 'success', subject: subjectOf(state), connected: event.connected } as const;
            return { state: { ...rest, drafts: {}, screen: shown }, messages: [{ type: 'connect', payload }] };
        }
        case 'failed':
            if (screen.name !== 'form') return same;
            return show({ name: 'failure', subject: screen.subject, failure: event.failure }, {}, errorMessage(event.failure));
    }
}

type Show = (screen: Screen, more?: Partial<State>, ...messages: HostMessage[]) => Step;

function subjectLoaded(event: Event & { type: 'subject loaded' }, show: Show): Step {
    const { subject, isSupported, invalidPreset } = event;
    if (!isSupported) {
        const message = `The auth mode ${subject.provider.auth_mode} is not supported.`;
        return show({ name: 'unsupported', subject }, {}, errorMessage({ type: 'unsupported_auth_mode', message }));
    }
    const messages = invalidPreset === undefined ? [] : [errorMessage({ type: 'invalid_preset', message: invalidPreset })];
    return show({ name: 'form', subject }, {}, ...messages);
}

const errorMessage = ({ type, message }: Failure): HostMessage => ({ type: 'error', payload: { errorType: type, errorMessage: message } });
