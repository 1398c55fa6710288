/** Screens and messages to the host (frontend contract §2.3, §2.4, §3.2, §3.4, §7.5, §7.10, §7.23). */
import { describe, expect, test } from 'vitest';
import type { Session } from '../../src/ui/connect/api-types.ts';
import { firstState, isDirty, step, type Event, type HostMessage, type State, type Subject } from '../../src/ui/connect/machine.ts';
import { formOf, integrationOf, madeUpProvider } from './forms.ts';

const session: Session = {
    connectUISettings: { showWatermark: false, defaultTheme: 'system', theme: { light: { primary: '#111' }, dark: { primary: '#eee' } } },
};
const provider = madeUpProvider({});
const integration = integrationOf(provider);
const other = integrationOf(madeUpProvider({ name: 'other' }));
const subject: Subject = { integration, provider, fields: formOf(provider), helpUrl: undefined };

const loaded: Event = { type: 'loaded', session, integrations: [integration, other] };
const single: Event = { type: 'loaded', session: { ...session, allowed_integrations: ['acme'] }, integrations: [integration] };
const toForm: Event[] = [{ type: 'token received' }, loaded, { type: 'picked', key: 'acme' }, { type: 'subject loaded', subject, isSupported: true }];
const begin = (flowId = 'f1'): Event => ({ type: 'flow begun', attempt: { flowId, link: 'https://auth.example.com/x' } });
const connected = (isPending = false): Event => ({ type: 'connected', connected: { providerConfigKey: 'acme', connectionId: 'c1', isPending } });
const refused: Event = { type: 'failed', failure: { type: 'connection_test_failed', message: 'no' } };
const denied = (flowId = 'f1'): Event => ({ type: 'flow failed', flowId, failure: { type: 'callback_err', message: 'denied' } });
const lost = (alert: 'blocked' | 'closed', isError = true): Event => ({
    type: 'flow lost',
    flowId: 'f1',
    alert,
    ...(isError ? { error: { type: 'window_closed', message: 'closed' } } : {}),
});

/** All events in turn: the screen after each, and everything the host was told. */
function play(...events: Event[]): { state: State; screens: string[]; messages: HostMessage[] } {
    let state = firstState;
    const screens: string[] = [];
    const messages: HostMessage[] = [];
    for (const event of events) {
        const next = step(state, event);
        ({ state } = next);
        screens.push(state.screen.name);
        messages.push(...next.messages);
    }
    return { state, screens, messages };
}

describe('loading', () => {
    test('a list, and a form of what is picked from it', () => {
        expect(play(...toForm).screens).toEqual(['loading', 'list', 'list', 'form']);
    });

    test('one allowed integration goes to its form without a list, and there is no way back to one', () => {
        const { screens } = play({ type: 'token received' }, single, { type: 'subject loaded', subject, isSupported: true }, { type: 'went back' });
        expect(screens).toEqual(['loading', 'loading', 'form', 'form']);
    });

    test('one integration of a session that allows any is a list', () => {
        expect(play({ type: 'token received' }, { type: 'loaded', session, integrations: [integration] }).screens.at(-1)).toBe('list');
    });

    test('nothing to connect', () => {
        expect(play({ type: 'token received' }, { type: 'loaded', session, integrations: [] }).screens.at(-1)).toBe('empty');
    });

    test('a late token is as good as any', () => {
        expect(play({ type: 'token missing' }, { type: 'token received' }, loaded).screens).toEqual(['no-token', 'loading', 'list']);
    });

    test('a token that came in time is not missing', () => {
        expect(play({ type: 'token received' }, { type: 'token missing' }).screens.at(-1)).toBe('loading');
    });

    test('after an expired session, and after a failure, a new token and a retry begin again', () => {
        expect(play({ type: 'token received' }, { type: 'session expired' }, { type: 'token received' }, loaded).screens).toEqual([
            'loading',
            'expired',
            'loading',
            'list',
        ]);
        expect(play({ type: 'token received' }, { type: 'load failed' }, { type: 'retried' }, loaded).screens.at(-1)).toBe('list');
    });

    test('a provider that cannot be looked up is said at its row, or instead of the form where there is no list', () => {
        const { state } = play({ type: 'token received' }, loaded, { type: 'picked', key: 'acme' }, { type: 'pick failed', key: 'acme' });
        expect(state.screen).toEqual({ name: 'list', picked: { key: 'acme', hasFailed: true } });
        expect(play({ type: 'token received' }, single, { type: 'pick failed', key: 'acme' }).screens.at(-1)).toBe('error');
    });

    test('an unknown mode is said to person and host', () => {
        const { screens, messages } = play(
            { type: 'token received' },
            loaded,
            { type: 'picked', key: 'acme' },
            { type: 'subject loaded', subject, isSupported: false },
        );
        expect(screens.at(-1)).toBe('unsupported');
        expect(messages).toMatchObject([{ type: 'error', payload: { errorType: 'unsupported_auth_mode' } }]);
    });

    test('a preset that cannot be right is told once', () => {
        const { messages } = play({ type: 'token received' }, single, {
            type: 'subject loaded',
            subject,
            isSupported: true,
            invalidPreset: 'Region',
        });
        expect(messages).toEqual([{ type: 'error', payload: { errorType: 'invalid_preset', errorMessage: 'Region' } }]);
    });
});

describe('typed-in credentials', () => {
    test('success tells the host, and forgets what was typed', () => {
        const typed: Event = { type: 'edited', key: 'acme', id: 'credentials.apiKey', value: 'k', isByHand: true };
        const { state, messages } = play(...toForm, typed, { type: 'submitted' }, connected());
        expect(state.screen.name).toBe('success');
        expect(messages).toEqual([{ type: 'connect', payload: { providerConfigKey: 'acme', connectionId: 'c1' } }]);
        expect(isDirty(state)).toBe(false);
    });

    test('a failure tells the host once; the way back leads to the form with what was typed', () => {
        const typed: Event = { type: 'edited', key: 'acme', id: 'credentials.apiKey', value: 'k', isByHand: true };
        const { state, screens, messages } = play(...toForm, typed, { type: 'submitted' }, refused, { type: 'went back' });
        expect(screens.slice(-2)).toEqual(['failure', 'form']);
        expect(messages).toEqual([{ type: 'error', payload: { errorType: 'connection_test_failed', errorMessage: 'no' } }]);
        expect(state.drafts['acme']?.values).toEqual({ 'credentials.apiKey': 'k' });
        expect(isDirty(state)).toBe(true);
    });

    test('what waits for an approval is not called connected', () => {
        const { state, messages } = play(...toForm, { type: 'submitted' }, connected(true));
        expect(state.screen.name).toBe('pending');
        expect(messages).toEqual([{ type: 'connect', payload: { providerConfigKey: 'acme', connectionId: 'c1', isPending: true } }]);
    });
});

describe('windows', () => {
    test('success', () => {
        const { screens } = play(...toForm, begin(), { type: 'flow started', flowId: 'f1' }, { type: 'flow returned', flowId: 'f1' }, connected());
        expect(screens.slice(-4)).toEqual(['waiting', 'waiting', 'waiting', 'success']);
    });

    test('a refusal at the provider is one error', () => {
        const { screens, messages } = play(...toForm, begin(), denied(), denied());
        expect(screens.at(-1)).toBe('failure');
        expect(messages).toHaveLength(1);
    });

    test.each(['blocked', 'closed'] as const)('%s: the form says so, and asks again', (alert) => {
        const { state, messages } = play(...toForm, begin(), lost(alert));
        expect(state.screen).toMatchObject({ name: 'form', alert });
        expect(messages).toHaveLength(1);
    });

    test('a closed window is an error only for hosts that asked', () => {
        expect(play(...toForm, begin(), lost('closed', false)).messages).toEqual([]);
    });

    test('one that was given up and comes back is waited for again', () => {
        expect(play(...toForm, begin(), lost('blocked'), { type: 'flow started', flowId: 'f1' }).screens.at(-1)).toBe('waiting');
    });

    test('a late success counts, and so does the late failure, which is not told twice', () => {
        const success = play(...toForm, begin(), lost('closed'), connected());
        expect(success.screens.at(-1)).toBe('success');
        expect(success.messages.map(({ type }) => type)).toEqual(['error', 'connect']);
        const failure = play(...toForm, begin(), lost('closed'), denied());
        expect(failure.screens.at(-1)).toBe('failure');
        expect(failure.messages).toHaveLength(1);
    });

    test('a retry replaces the attempt before it, whose end is nobody’s concern unless it is a success', () => {
        const retried = [...toForm, begin('f1'), { type: 'gave up' } as const, begin('f2')];
        expect(play(...retried, denied('f1')).screens.at(-1)).toBe('waiting');
        expect(play(...retried, denied('f1')).messages).toEqual([]);
        expect(play(...retried, connected(), connected(), denied('f2')).messages.map(({ type }) => type)).toEqual(['connect']);
    });

    test('the browser’s Back leads to the list from wherever it is, and what was begun may still end', () => {
        const back: Event = { type: 'moved to list' };
        expect(play(...toForm, back).screens.at(-1)).toBe('list');
        expect(play(...toForm, begin(), back, connected()).screens.slice(-3)).toEqual(['waiting', 'list', 'success']);
        const { screens, messages } = play(...toForm, { type: 'submitted' }, back, refused);
        expect([screens.at(-1), messages]).toEqual(['list', []]);
        expect(play({ type: 'token received' }, single, { type: 'subject loaded', subject, isSupported: true }, back).screens.at(-1)).toBe('form');
        expect(play(...toForm, { type: 'session expired' }, back).screens.at(-1)).toBe('expired');
        expect(play({ type: 'token received' }, back).screens.at(-1)).toBe('loading');
    });

    test('a tab that is opened where it was left shows the form without the list before it', () => {
        const { screens } = play({ type: 'token received' }, { ...loaded, opensForm: true }, { type: 'subject loaded', subject, isSupported: true });
        expect(screens).toEqual(['loading', 'loading', 'form']);
    });

    test('a tab that comes back has no form; after a failure it goes to the list', () => {
        const back = [{ type: 'token received' } as const, loaded, begin()];
        expect(play(...back, connected()).screens.at(-1)).toBe('success');
        expect(play(...back, denied(), { type: 'went back' }).screens.slice(-2)).toEqual(['failure', 'list']);
    });

    test('a session that ends after the success takes nothing away', () => {
        expect(play(...toForm, begin(), connected(), { type: 'session expired' }).screens.at(-1)).toBe('success');
    });
});
