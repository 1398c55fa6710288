/**
 * Loads what the page needs and tells the machine, whose state the screens show. Not here: what a form does (`form-desk.ts`), and
 * waiting for the provider (`redirect-flows.ts`).
 */
import { Api, ApiError } from './api.ts';
import type { Connected, Integration, UiSettings } from './api-types.ts';
import { assembleFields, helpUrl, initialValues, type Field } from './fields.ts';
import { FormDesk } from './form-desk.ts';
import { tellHost } from './host.ts';
import { forgetSession, keepSession } from './kept-session.ts';
import { firstState, isDirty, isSingle, step, subjectOf, type Event, type State, type Subject } from './machine.ts';
import { wayOf } from './modes.ts';
import type { Page } from './page.ts';
import type { PageConfig } from './page-config.ts';
import { RedirectFlows } from './redirect-flows.ts';
import { returnAddress, signedReturn } from './return-address.ts';
import { TabHistory } from './tab-history.ts';
import { sendBeacon, type Happening } from './telemetry.ts';
import { faultsOf } from './validation.ts';
import { fill } from './words/languages.ts';
import type { Words } from './words/en.ts';

const hostMayTakeMs = 10_000;
const closeAfterMs = 1500;

export class Controller {
    readonly config: PageConfig;
    readonly words: Words;
    readonly form: FormDesk;
    readonly #api: Api;
    readonly #flows: RedirectFlows;
    readonly #tab: TabHistory;
    readonly #listeners = new Set<(state: State) => void>();
    #state: State = firstState;
    #hasOpened = false;
    #hasClosed = false;
    #returnedFlow: string | undefined;

    constructor(config: PageConfig, words: Words, language: string) {
        this.config = config;
        this.words = words;
        this.#api = new Api(config.apiUrl, language);
        this.#returnedFlow = config.returnedFlow;
        this.#tab = new TabHistory(config);
        this.#tab.onMove((form) => this.#moved(form));
        const page: Page = {
            api: this.#api,
            config,
            words,
            state: () => this.#state,
            report: (event) => this.#report(event),
            expire: () => this.#expire(),
            track: (event, integration) => this.track(event, integration),
        };
        this.#flows = new RedirectFlows(page);
        this.form = new FormDesk(page, this.#flows);
    }

    get state(): State {
        return this.#state;
    }

    subscribe(listener: (state: State) => void): () => void {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    /** @param token that the page already has */
    start(token: string | undefined): void {
        if (token !== undefined) {
            this.useToken(token);
        } else if (this.config.isStandalone) {
            this.#report({ type: 'token missing' });
        } else {
            setTimeout(() => this.#report({ type: 'token missing' }), hostMayTakeMs);
        }
    }

    /** A second message with the token in use changes nothing, unless something went wrong with it (§7.23). */
    useToken(token: string): void {
        const isInUse = token === this.#api.token && !['expired', 'error', 'boot', 'no-token'].includes(this.#state.screen.name);
        if (isInUse) return;
        this.#api.token = token;
        this.#hasClosed = false;
        keepSession(this.config, token);
        this.#report({ type: 'token received' });
        void this.#load();
    }

    useSettings(settings: UiSettings): void {
        if (this.config.isPreview) this.#report({ type: 'settings changed', settings });
    }

    retry(): void {
        this.#report({ type: 'retried' });
        void this.#load();
    }

    /** Where a connect link's user goes now, as the page knows it. */
    returnAddress(connected: Connected): string | undefined {
        const { isStandalone, isPreview } = this.config;
        return isStandalone && !isPreview ? returnAddress(this.#state.session?.return_url, connected) : undefined;
    }

    /** The same, signed; `undefined` where the server has no answer: the backend learns the truth by webhook. */
    async signedReturnAddress(connected: Connected): Promise<string | undefined> {
        const session = await this.#api.session().catch(() => undefined);
        return signedReturn(session?.return_to, connected);
    }

    async #load(): Promise<void> {
        const { token } = this.#api;
        try {
            const [session, integrations] = await Promise.all([this.#api.session(), this.#api.integrations()]);
            if (token !== this.#api.token) return;
            if (!this.#hasOpened) this.track('open');
            this.#hasOpened = true;
            const flowId = this.#returnedFlow;
            this.#returnedFlow = undefined;
            const left = flowId === undefined ? integrations.find(({ unique_key }) => unique_key === this.#tab.form) : undefined;
            if (left === undefined) this.#tab.forgetForm();
            this.#report({ type: 'loaded', session, integrations, ...(left && { opensForm: true }) });
            if (flowId !== undefined) {
                await this.#comeBack(flowId, integrations);
            } else if (isSingle(this.#state)) {
                await this.#pick(integrations[0]!);
            } else if (left !== undefined) {
                await this.#pick(left);
            }
        } catch (error) {
            if (token === this.#api.token) this.#loadFailed(error, { type: 'load failed' });
        }
    }

    /** To the form that this tab left, if it is known, and on to how the flow ended. */
    async #comeBack(flowId: string, integrations: readonly Integration[]): Promise<void> {
        const integration = integrations.find(({ unique_key }) => unique_key === this.config.leftFor);
        if (integration !== undefined) {
            this.#report({ type: 'picked', key: integration.unique_key });
            await this.#pick(integration);
        }
        this.#flows.begin(flowId, '', { isSameTab: true });
    }

    pick(integration: Integration): void {
        this.track('click:integration', integration.unique_key);
        this.#report({ type: 'picked', key: integration.unique_key });
        void this.#pick(integration);
    }

    async #pick(integration: Integration): Promise<void> {
        const { token } = this.#api;
        const { unique_key: key } = integration;
        const isAwaited = (): boolean => {
            const { screen } = this.#state;
            return token === this.#api.token && (screen.name === 'loading' || (screen.name === 'list' && screen.picked?.key === key));
        };
        try {
            const provider = await this.#api.provider(integration.provider);
            if (!isAwaited()) return;
            const { session } = this.#state;
            const presets = session?.integrations_config_defaults?.[key]?.connection_config;
            const docsOverride = session?.overrides?.[key]?.docs_connect;
            const fields = assembleFields({ provider, integration, presets, docsOverride, words: this.words });
            const subject: Subject = { integration, provider, fields, helpUrl: helpUrl({ provider, docsOverride }) };
            const invalid = invalidPresets(fields);
            this.#report({
                type: 'subject loaded',
                subject,
                isSupported: wayOf(provider) !== undefined,
                ...(invalid === '' ? {} : { invalidPreset: fill(this.words.form.invalidPreset, { fields: invalid }) }),
            });
        } catch (error) {
            if (isAwaited()) this.#loadFailed(error, { type: 'pick failed', key });
        }
    }

    #loadFailed(error: unknown, event: Event): void {
        if (error instanceof ApiError && error.isExpired) {
            this.#expire();
        } else {
            this.#report(event);
        }
    }

    #expire(): void {
        forgetSession();
        this.#report({ type: 'session expired' });
    }

    back(): void {
        const isFromForm = ['form', 'unsupported'].includes(this.#state.screen.name);
        if (!(isFromForm && this.#tab.leaveForm())) this.#report({ type: 'went back' });
    }

    /** By the browser's Back and Forward. */
    #moved(form: string | undefined): void {
        this.#report({ type: 'moved to list' });
        const integration = this.#state.integrations?.find(({ unique_key }) => unique_key === form);
        if (integration === undefined || this.#state.screen.name !== 'list') return;
        this.#report({ type: 'picked', key: integration.unique_key });
        void this.#pick(integration);
    }

    giveUp(): void {
        this.#report({ type: 'gave up' });
    }

    get isDirty(): boolean {
        return isDirty(this.#state);
    }

    /** Told once: the host removes the page then. */
    close(by: Happening): void {
        if (this.config.isPreview || this.config.isStandalone || this.#hasClosed) return;
        this.#hasClosed = true;
        this.track(by);
        tellHost({ type: 'close' });
        if (this.#state.attempt) this.#flows.abandon();
    }

    track(event: Happening, integration?: string): void {
        if (!this.config.isPreview && this.#api.token !== '') {
            sendBeacon(this.#api.address('connect/telemetry'), this.#api.token, event, integration);
        }
    }

    /** Messages leave before the screen they belong to is shown (§3.2). */
    #report(event: Event): void {
        const before = this.#state.screen;
        const { state, messages } = step(this.#state, event);
        this.#state = state;
        if (!this.config.isPreview) for (const message of messages) tellHost(message);
        if (state.screen.name !== before.name) this.#screenChanged(state);
        this.#tab.shown(state);
        for (const listener of this.#listeners) listener(state);
    }

    #screenChanged({ screen, session }: State): void {
        const key = subjectOf(this.#state)?.integration.unique_key;
        switch (screen.name) {
            case 'list':
                this.track('view:list');
                break;
            case 'form':
                this.track('view:integration', key);
                break;
            case 'success':
            case 'pending':
                this.track('view:success', key);
                this.#flows.closeWindow();
                if (session?.connectUISettings.closeOnSuccess) setTimeout(() => this.close('click:finish'), closeAfterMs);
                break;
            case 'failure':
                this.track(screen.failure.type === 'connection_test_failed' ? 'view:credentials_error' : 'view:unknown_error', key);
                break;
            case 'error':
                this.track('view:unknown_error');
                break;
            default:
        }
    }
}

/** Labels of what the session has set and the entry does not accept. */
export const invalidPresets = (fields: readonly Field[]): string =>
    fields
        .filter((field) => field.isPreset && faultsOf([field], initialValues([field]))[field.id] !== undefined)
        .map(({ label }) => label)
        .join(', ');
