/**
 * The browser's Back and Forward between the list and a form, in a tab of its own. An entry holds the key of an integration and
 * nothing else. In a frame the history is the host's too, and none of it is touched.
 */
import { isSingle, subjectOf, type State } from './machine.ts';
import type { PageConfig } from './page-config.ts';

interface Entry {
    readonly form?: string;
}

export class TabHistory {
    readonly #isOurs: boolean;

    constructor({ isStandalone, isPreview }: PageConfig) {
        this.#isOurs = isStandalone && !isPreview;
    }

    /** Of the form that the current entry stands for: also after a reload, and on the way back from another page. */
    get form(): string | undefined {
        return this.#isOurs ? (window.history.state as Entry | null)?.form : undefined;
    }

    /** A form that is opened from the list gets an entry above the list's. */
    shown(state: State): void {
        const form = formOf(state);
        if (!this.#isOurs || form === undefined || form === this.form) return;
        const entry: Entry = { form };
        if (this.form === undefined) window.history.pushState(entry, '');
        else window.history.replaceState(entry, '');
    }

    /** The list is shown for a form that is none of this session's. */
    forgetForm(): void {
        if (this.form !== undefined) window.history.replaceState(null, '');
    }

    /** As the browser's button does: in-page, the entry of the form must not stay behind. */
    leaveForm(): boolean {
        if (this.form === undefined) return false;
        window.history.back();
        return true;
    }

    onMove(listener: (form: string | undefined) => void): void {
        if (this.#isOurs) window.addEventListener('popstate', () => listener(this.form));
    }
}

/** Where there is a list to go back to. */
const formOf = (state: State): string | undefined =>
    !isSingle(state) && (state.screen.name === 'form' || state.screen.name === 'unsupported') ? subjectOf(state)?.integration.unique_key : undefined;
