/** The page that embeds this one (frontend contract §2.3). On its own, a page is its own parent, and nobody listens. */
import type { UiSettings } from './api-types.ts';
import type { HostMessage } from './machine.ts';

export const tellHost = (message: HostMessage): void => window.parent.postMessage(message, '*');

interface Listeners {
    onToken(token: string): void;
    onSettings(settings: UiSettings): void;
}

/** Frames that happen to know this window are not its host (§7.17). */
export function listenToHost({ onToken, onSettings }: Listeners): void {
    window.addEventListener('message', ({ source, data }: MessageEvent<unknown>) => {
        if (source !== window.parent || typeof data !== 'object' || data === null) return;
        const { type, sessionToken, payload } = data as { type?: unknown; sessionToken?: unknown; payload?: unknown };
        if (type === 'session_token' && typeof sessionToken === 'string' && sessionToken !== '') {
            onToken(sessionToken);
        } else if (type === 'settings_changed' && isSettings(payload)) {
            onSettings(payload);
        }
    });
}

function isSettings(payload: unknown): payload is UiSettings {
    const { theme } = (payload ?? {}) as { theme?: Partial<UiSettings['theme']> };
    return typeof theme?.light?.primary === 'string' && typeof theme.dark?.primary === 'string';
}

/** The callback's page says that it is through: let it close. How it ended is asked of the server (§7.3). */
export function acknowledgeCallbacks(apiUrl: string): void {
    const { origin: apiOrigin } = new URL(apiUrl);
    window.addEventListener('message', ({ origin, source, data }: MessageEvent<unknown>) => {
        if (origin !== apiOrigin || source === null || source === window || source === window.parent) return;
        const { type } = (data ?? {}) as { type?: unknown };
        if (type === 'nango_oauth_callback_success' || type === 'nango_oauth_callback_error') {
            source.postMessage({ type: 'nango_oauth_callback_ack' }, { targetOrigin: origin });
        }
    });
}
