/** Redirect flows as the page sees them: it opens their windows, and asks the server how they end (frontend contract §7.3 to 6, §7.10). */
import { networkFailure } from './api.ts';
import type { Outcome, Provider } from './api-types.ts';
import { watchFlow, watchWindow } from './flow-watch.ts';
import { subjectOf, type Failure } from './machine.ts';
import type { Page } from './page.ts';
import { windowFeatures } from './page-config.ts';
import { fill } from './words/languages.ts';

const windowStaysMs = 500;

export class RedirectFlows {
    readonly #page: Page;
    #window: Window | undefined;

    constructor(page: Page) {
        this.#page = page;
    }

    open(address: string, hint: Provider['popup']): Window | undefined {
        const { availWidth: width, availHeight: height } = window.screen;
        // Two screens: the one that this window is on.
        const { availLeft: left = 0, availTop: top = 0 } = window.screen as Screen & { availLeft?: number; availTop?: number };
        return window.open(address, '_blank', windowFeatures([this.#page.config.popup, hint], { width, height, left, top })) ?? undefined;
    }

    /** @param how whether a script opened it, in which window if that is known, or in this very tab */
    begin(flowId: string, link: string, how: { opened?: Window | undefined; isByScript?: boolean; isSameTab?: boolean }): void {
        this.closeWindow();
        this.#window = how.opened;
        const attempt = { flowId, link, isSameTab: how.isSameTab === true, hasWindow: how.opened !== undefined };
        this.#page.report({ type: 'flow begun', attempt });
        const { token } = this.#page.api;
        let state = 'unknown';
        const isCurrent = (): boolean => token === this.#page.api.token && this.#page.state().attempt?.flowId === flowId;
        const hasEnded = (): boolean => token !== this.#page.api.token || ['success', 'pending', 'expired'].includes(this.#page.state().screen.name);
        void watchFlow((wait) => this.#page.api.flow(flowId, wait), {
            // A flow that a retry has replaced is watched on if it was begun: it may have come back already.
            isOver: () => hasEnded() || (!isCurrent() && state === 'unknown'),
            onStatus: (status) => {
                ({ state } = status);
                if (status.state === 'done') this.#flowDone(flowId, status.outcome);
                else this.#page.report({ type: status.state === 'returned' ? 'flow returned' : 'flow started', flowId });
            },
            onNothingOpened: () => {
                if (how.isSameTab) {
                    this.#page.report({ type: 'flow failed', flowId, failure: { type: networkFailure, message: this.#page.words.error.text } });
                } else if (how.opened === undefined) {
                    this.#lost(flowId, 'blocked', how.isByScript === true);
                }
            },
            onExpired: () => {
                if (isCurrent()) this.#page.expire();
            },
        });
        if (how.opened) {
            watchWindow(how.opened, {
                isOver: () => hasEnded() || !isCurrent() || state === 'done',
                onClosed: () => {
                    if (state !== 'returned') this.#lost(flowId, 'closed', this.#page.config.detectsClosedWindow);
                },
            });
        }
    }

    /** @param isError the host is to know. A closed window is one only where it asked for that (contract §8.6). */
    #lost(flowId: string, alert: 'blocked' | 'closed', isError: boolean): void {
        const isShown = this.#page.state().screen.name === 'waiting' && this.#page.state().attempt?.flowId === flowId;
        if (!isShown) return;
        const subject = subjectOf(this.#page.state());
        this.#page.track(alert === 'blocked' ? 'popup:blocked_by_browser' : 'popup:closed_early', subject?.integration.unique_key);
        const type = alert === 'blocked' ? 'blocked_by_browser' : 'window_closed';
        const message = fill(this.#page.words.form[alert], { name: subject?.integration.display_name ?? '' });
        this.#page.report({ type: 'flow lost', flowId, alert, ...(isError ? { error: { type, message } } : {}) });
    }

    #flowDone(flowId: string, outcome: Outcome | null): void {
        if (outcome?.status === 'success') {
            const { provider_config_key: providerConfigKey = '', connection_id: connectionId = '', is_pending: isPending = false } = outcome;
            this.#page.report({ type: 'connected', connected: { providerConfigKey, connectionId, isPending } });
        } else {
            const { type = networkFailure, description = '' } = outcome?.error ?? {};
            const failure: Failure = { type, message: description, integrationKey: outcome?.provider_config_key };
            this.#page.report({ type: 'flow failed', flowId, failure });
        }
        this.closeWindow();
    }

    /** It has a moment to show how it ended. */
    closeWindow(): void {
        const opened = this.#window;
        this.#window = undefined;
        if (opened) setTimeout(() => opened.close(), windowStaysMs);
    }

    /** Of a page that is being closed. */
    abandon(): void {
        this.#window?.close();
    }
}
