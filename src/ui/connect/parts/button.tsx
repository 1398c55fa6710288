import type { ComponentChildren } from 'preact';

interface Props {
    readonly children: ComponentChildren;
    readonly kind?: 'primary' | 'quiet';
    readonly type?: 'button' | 'submit';
    /** Shows that it works; a press does nothing meanwhile. */
    readonly isBusy?: boolean;
    /** Looks as if it did nothing. It stays reachable, and its press says why. */
    readonly isOff?: boolean;
    readonly onClick?: () => void;
}

export const Button = ({ children, kind = 'primary', type = 'button', isBusy = false, isOff = false, onClick }: Props) => (
    <button type={type} class={`button ${kind}`} aria-disabled={isBusy || isOff} aria-busy={isBusy} onClick={isBusy ? undefined : onClick}>
        {isBusy && <span class="spinner" aria-hidden="true" />}
        <span>{children}</span>
    </button>
);
