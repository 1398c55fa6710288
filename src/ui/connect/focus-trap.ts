/** Inside a frame, Tab goes round in the dialog: behind it is a page that cannot be used meanwhile (§3.1). */
import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

const focusable = 'a[href], button:not([disabled]), input:not([disabled]):not([hidden]), select, textarea';

export function useFocusTrap(container: RefObject<HTMLElement | null>, isOn: boolean): void {
    useEffect(() => {
        if (!isOn) return undefined;
        const keepInside = (event: KeyboardEvent): void => {
            // An open dialog of the browser's own keeps the focus by itself.
            if (event.key !== 'Tab' || document.querySelector('dialog[open]')) return;
            const stops = [...(container.current?.querySelectorAll<HTMLElement>(focusable) ?? [])].filter((element) => element.tabIndex >= 0);
            const [first, last] = [stops[0], stops.at(-1)];
            const isAtEnd = document.activeElement === last;
            const isAtStart = document.activeElement === first || !stops.includes(document.activeElement as HTMLElement);
            if (!event.shiftKey && isAtEnd) {
                event.preventDefault();
                first?.focus();
            } else if (event.shiftKey && isAtStart) {
                event.preventDefault();
                last?.focus();
            }
        };
        document.addEventListener('keydown', keepInside);
        return () => document.removeEventListener('keydown', keepInside);
    }, [container, isOn]);
}
