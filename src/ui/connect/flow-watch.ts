/** How a redirect flow is doing: the server knows (frontend contract §7.3 to 6), and the window tells a little. */
import { ApiError } from './api.ts';
import type { FlowStatus } from './api-types.ts';

/** After this long without a first request, nothing was opened (§7.4). */
const openingSeconds = 4;
const waitSeconds = 20;
/** A server that answers at once must not be asked at once again. */
const leastPauseMs = 400;

interface FlowListener {
    onStatus(status: FlowStatus): void;
    /** The server knows of no such flow: nothing was opened. Told once. */
    onNothingOpened(): void;
    onExpired(): void;
    /** Nobody is interested any more. */
    isOver(): boolean;
}

/** Asks until the flow is done. */
export async function watchFlow(ask: (wait: number) => Promise<FlowStatus>, listener: FlowListener): Promise<void> {
    let isKnown = false;
    let hasTold = false;
    let failures = 0;
    while (!listener.isOver()) {
        const askedAt = performance.now();
        try {
            const status = await ask(isKnown || hasTold ? waitSeconds : openingSeconds);
            failures = 0;
            if (listener.isOver()) return;
            isKnown = status.state !== 'unknown';
            if (isKnown) listener.onStatus(status);
            if (status.state === 'done') return;
            if (!isKnown && !hasTold && performance.now() - askedAt >= openingSeconds * 900) {
                hasTold = true;
                listener.onNothingOpened();
            }
        } catch (error) {
            if (error instanceof ApiError && error.isExpired) {
                listener.onExpired();
                return;
            }
            failures += 1;
        }
        await pause(failures > 0 ? Math.min(8000, 500 * 2 ** failures) : Math.max(0, leastPauseMs - (performance.now() - askedAt)));
    }
}

const lookEveryMs = 500;
/** Closed, and the person is back here: a provider that cuts the ties of its window only makes it look closed. */
const backHereMs = 1500;
const closedAnywayMs = 8000;

/** Calls back when the window is gone and its person has come back; the flow may be under way all the same (§7.5). */
export function watchWindow(opened: Window, { onClosed, isOver }: { onClosed(): void; isOver(): boolean }): void {
    let closedFor = 0;
    let hereFor = 0;
    const timer = setInterval(() => {
        if (isOver()) {
            clearInterval(timer);
            return;
        }
        if (!opened.closed) return;
        closedFor += lookEveryMs;
        hereFor = document.hasFocus() ? hereFor + lookEveryMs : 0;
        if (hereFor >= backHereMs || (closedFor >= closedAnywayMs && document.visibilityState === 'visible')) {
            clearInterval(timer);
            onClosed();
        }
    }, lookEveryMs);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
