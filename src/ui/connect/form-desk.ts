/** What a form does: it holds what was typed, and connects with it by a call, in a window of the provider's or in this tab (frontend contract §7.3, §7.4, §7.11). */
import { ApiError, networkFailure } from './api.ts';
import { initialValues } from './fields.ts';
import { keepSession } from './kept-session.ts';
import type { Subject } from './machine.ts';
import { isOutbound } from './modes.ts';
import { newId } from './new-id.ts';
import type { Page } from './page.ts';
import type { RedirectFlows } from './redirect-flows.ts';
import { submissionOf, type Values } from './submission.ts';

export class FormDesk {
    readonly #page: Page;
    readonly #flows: RedirectFlows;

    constructor(page: Page, flows: RedirectFlows) {
        this.#page = page;
        this.#flows = flows;
    }

    /** What is in the form: what was typed, over what it began with. */
    valuesOf({ integration, fields }: Subject): Values {
        return { ...initialValues(fields), ...this.#page.state().drafts[integration.unique_key]?.values };
    }

    edit({ integration }: Subject, id: string, value: string, { isByHand }: { isByHand: boolean }): void {
        this.#page.report({ type: 'edited', key: integration.unique_key, id, value, isByHand });
    }

    /** Called by a click: windows are opened before anything is waited for (§7.11). */
    submit(subject: Subject, extraParams: Values): void {
        const { screen } = this.#page.state();
        if (this.#page.config.isPreview || screen.name !== 'form' || screen.isBusy) return;
        const flowId = newId();
        const returnsToPage = this.#goesInSameTab();
        const submission = submissionOf({ ...this.#filled(subject, flowId, extraParams), returnsToPage });
        if (submission === undefined) return;
        this.#page.track('click:connect', subject.integration.unique_key);
        if (submission.kind === 'call') {
            this.#page.report({ type: 'submitted' });
            void this.#connect(subject, submission.path, submission.body);
        } else if (submission.kind === 'prepared') {
            const opened = returnsToPage ? undefined : this.#flows.open('about:blank', subject.provider.popup);
            this.#page.report({ type: 'submitted' });
            void this.#openPrepared(subject, flowId, submission.body, { opened, returnsToPage });
        } else if (returnsToPage) {
            this.#leaveFor(subject, flowId, this.#page.api.address(submission.path));
        } else {
            const link = this.#page.api.address(submission.path);
            const opened = this.#flows.open(link, subject.provider.popup);
            this.#flows.begin(flowId, link, { opened, isByScript: true });
        }
    }

    /** The same flow as an ordinary link (§7.4); `undefined` where its address would hold a secret. */
    link(subject: Subject, flowId: string, extraParams: Values, options: { returnsToPage?: boolean } = {}): string | undefined {
        const submission = submissionOf({ ...this.#filled(subject, flowId, extraParams), ...options });
        return submission?.kind === 'window' ? this.#page.api.address(submission.path) : undefined;
    }

    followed(flowId: string, link: string): void {
        this.#flows.begin(flowId, link, {});
    }

    #filled(subject: Subject, flowId: string, extraParams: Values) {
        const { provider, integration, fields } = subject;
        const values = this.valuesOf(subject);
        return { provider, fields, values, integrationKey: integration.unique_key, sessionToken: this.#page.api.token, flowId, extraParams };
    }

    /** A phone shows one thing at a time: there and back beats a second tab (§7.11). */
    #goesInSameTab(): boolean {
        return this.#page.config.isStandalone && matchMedia('(max-width: 639px)').matches;
    }

    aboutToLeave({ integration }: Subject): void {
        keepSession(this.#page.config, this.#page.api.token, integration.unique_key);
    }

    #leaveFor(subject: Subject, flowId: string, address: string): void {
        this.aboutToLeave(subject);
        this.#page.report({ type: 'flow begun', attempt: { flowId, link: address, isSameTab: true } });
        window.location.assign(address);
    }

    async #connect(subject: Subject, path: string, body: unknown): Promise<void> {
        const isPending = isOutbound(subject.provider);
        try {
            const { providerConfigKey, connectionId, isPending: waits = isPending } = await this.#page.api.connect(path, body);
            this.#page.report({ type: 'connected', connected: { providerConfigKey, connectionId, isPending: waits } });
        } catch (error) {
            this.#attemptFailed(subject, error);
        }
    }

    async #openPrepared(subject: Subject, flowId: string, body: unknown, way: { opened: Window | undefined; returnsToPage: boolean }): Promise<void> {
        try {
            const address = await this.#page.api.prepareFlow(body);
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
        const { screen } = this.#page.state();
        return screen.name === 'form' && screen.isBusy === true && screen.subject.integration.unique_key === integration.unique_key;
    }

    #attemptFailed(subject: Subject, error: unknown): void {
        const { code, message, isExpired } = error instanceof ApiError ? error : new ApiError(0, networkFailure, '');
        if (this.#isBusyWith(subject))
            this.#page.report({ type: 'failed', failure: { type: code, message: message || this.#page.words.failure.network } });
        if (isExpired) this.#page.expire();
    }
}
