/** Does what takes time — loading, connecting, waiting for the provider — and tells the machine, whose state the screens show. */
import { Api, ApiError, networkFailure } from './api.ts';
import type { Connected, Integration, UiSettings } from './api-types.ts';
import { assembleFields, helpUrl, initialValues, type Field } from './fields.ts';
import { tellHost } from './host.ts';
import { forgetSession, keepSession } from './kept-session.ts';
import { firstState, isDirty, isSingle, step, subjectOf, type Event, type State, type Subject } from './machine.ts';
import { isOutbound, wayOf } from './modes.ts';
import { newId } from './new-id.ts';
import type { PageConfig } from './page-config.ts';
import { RedirectFlows } from './redirect-flows.ts';
import { returnAddress, signedReturn } from './return-address.ts';
import { submissionOf, type Values } from './submission.ts';
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
        this.#flows = new RedirectFlows({
            api: this.#api,
            config,
            words,
            state: () => this.#state,
            report: (event) => this.#report(event),
            expire: () => this.#expire(),
            track: (event, integration) => this.track(event, integration),
        });
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

    /** Where a connect link's user goes now, signed; as the page knows it where the server has no answer: the backend learns the truth by webhook. */
    async returnAddress(connected: Connected): Promise<string | undefined> {
        const { isStandalone, isPreview } = this.config;
        const unsigned = isStandalone && !isPreview ? returnAddress(this.#state.session?.return_url, connected) : undefined;
        if (unsigned === undefined) return undefined;
        const session = await this.#api.session().catch(() => undefined);
        return signedReturn(session?.return_to, connected) ?? unsigned;
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

    /** What is in the form: what was typed, over what it began with. */
    valuesOf({ integration, fields }: Subject): Values {
        return { ...initialValues(fields), ...this.#state.drafts[integration.unique_key]?.values };
    }

    edit({ integration }: Subject, id: string, value: string, { isByHand }: { isByHand: boolean }): void {
        this.#report({ type: 'edited', key: integration.unique_key, id, value, isByHand });
    }

    /** Called by a click: windows are opened before anything is waited for (§7.11). */
    submit(subject: Subject, extraParams: Values): void {
        const { screen } = this.#state;
        if (this.config.isPreview || screen.name !== 'form' || screen.isBusy) return;
        const flowId = newId();
        const returnsToPage = this.#goesInSameTab();
        const submission = submissionOf({ ...this.#filled(subject, flowId, extraParams), returnsToPage });
        if (submission === undefined) return;
        this.track('click:connect', subject.integration.unique_key);
        if (submission.kind === 'call') {
            this.#report({ type: 'submitted' });
            void this.#connect(subject, submission.path, submission.body);
        } else if (submission.kind === 'prepared') {
            const opened = returnsToPage ? undefined : this.#flows.open('about:blank', subject.provider.popup);
            this.#report({ type: 'submitted' });
            void this.#openPrepared(subject, flowId, submission.body, { opened, returnsToPage });
        } else if (returnsToPage) {
            this.#leaveFor(subject, flowId, this.#api.address(submission.path));
        } else {
            const link = this.#api.address(submission.path);
            const opened = this.#flows.open(link, subject.provider.popup);
            this.#flows.begin(flowId, link, { opened, isByScript: true });
        }
    }

    /** The same flow as an ordinary link (§7.4); `undefined` where its address would hold a secret. */
    link(subject: Subject, flowId: string, extraParams: Values, options: { returnsToPage?: boolean } = {}): string | undefined {
        const submission = submissionOf({ ...this.#filled(subject, flowId, extraParams), ...options });
        return submission?.kind === 'window' ? this.#api.address(submission.path) : undefined;
    }

    followed(flowId: string, link: string): void {
        this.#flows.begin(flowId, link, {});
    }

    #filled(subject: Subject, flowId: string, extraParams: Values) {
        const { provider, integration, fields } = subject;
        const values = this.valuesOf(subject);
        return { provider, fields, values, integrationKey: integration.unique_key, sessionToken: this.#api.token, flowId, extraParams };
    }

    /** A phone shows one thing at a time: there and back beats a second tab (§7.11). */
    #goesInSameTab(): boolean {
        return this.config.isStandalone && matchMedia('(max-width: 639px)').matches;
    }

    aboutToLeave({ integration }: Subject): void {
        keepSession(this.config, this.#api.token, integration.unique_key);
    }

    #leaveFor(subject: Subject, flowId: string, address: string): void {
        this.aboutToLeave(subject);
        this.#report({ type: 'flow begun', attempt: { flowId, link: address, isSameTab: true } });
        window.location.assign(address);
    }

    async #connect(subject: Subject, path: string, body: unknown): Promise<void> {
        const isPending = isOutbound(subject.provider);
        try {
            const { providerConfigKey, connectionId, isPending: waits = isPending } = await this.#api.connect(path, body);
            this.#report({ type: 'connected', connected: { providerConfigKey, connectionId, isPending: waits } });
        } catch (error) {
            this.#attemptFailed(subject, error);
        }
    }

    async #openPrepared(subject: Subject, flowId: string, body: unknown, way: { opened: Window | undefined; returnsToPage: boolean }): Promise<void> {
        try {
            const address = await this.#api.prepareFlow(body);
            if (!this.#isBusyWith(subject)) {
                way.opened?.close();
                return;
            }
            if (way.returnsToPage) {
                this.#leaveFor(subject, flowId, `${address}&return_to=page`);
                return;
            }
            if (way.opened) way.opened.location.replace(address);
            this.#flows.begin(flowId, address, { opened: way.opened, isByScript: true });
        } catch (error) {
            way.opened?.close();
            this.#attemptFailed(subject, error);
        }
    }

    /** The browser's Back may have led away from it. */
    #isBusyWith({ integration }: Subject): boolean {
        const { screen } = this.#state;
        return screen.name === 'form' && screen.isBusy === true && screen.subject.integration.unique_key === integration.unique_key;
    }

    #attemptFailed(subject: Subject, error: unknown): void {
        const { code, message, isExpired } = error instanceof ApiError ? error : new ApiError(0, networkFailure, '');
        if (this.#isBusyWith(subject)) this.#report({ type: 'failed', failure: { type: code, message: message || this.words.failure.network } });
        if (isExpired) this.#expire();
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
