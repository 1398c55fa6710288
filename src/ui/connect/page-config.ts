/** What the address of the page and the server's document say (frontend contract §2.2, §2.4, §4). Pure. */
import { isThemeChoice, type ThemeChoice } from './theme.ts';

interface PopupHint {
    readonly width?: number | undefined;
    readonly height?: number | undefined;
}

export interface PageConfig {
    /** The only server the page ever talks to: an `apiURL` in the address is not believed (§7.15). Without a slash at its end. */
    readonly apiUrl: string;
    /** Nobody embeds the page: a connect link, in a tab of its own. */
    readonly isStandalone: boolean;
    /** Drawn into a place that the host made for it: no backdrop. */
    readonly isInline: boolean;
    /** In a dashboard: settings change live, nothing is done (§3.6). */
    readonly isPreview: boolean;
    readonly detectsClosedWindow: boolean;
    readonly theme: ThemeChoice | undefined;
    readonly lang: string | null;
    readonly token: string | undefined;
    /** The flow that this tab comes back from. */
    readonly returnedFlow: string | undefined;
    /** The integration that it left for. */
    readonly leftFor: string | undefined;
    /** As the host wants the window of a consent page, whatever the provider's hint (§7.14). */
    readonly popup: PopupHint;
    /** The address without what should not stay in it. */
    readonly search: string;
}

const defaultPopup = { width: 640, height: 760 };

export function readPageConfig({ apiUrl, search, isStandalone }: { apiUrl: string; search: string; isStandalone: boolean }): PageConfig {
    const query = new URLSearchParams(search);
    const theme = query.get('theme');
    const token = query.get('session_token');
    const flow = query.get('flow');
    const kept = new URLSearchParams(query);
    for (const name of ['session_token', 'flow']) kept.delete(name);
    return {
        apiUrl: apiUrl.replace(/\/+$/, ''),
        isStandalone,
        isInline: query.get('embedded') === 'true',
        isPreview: query.get('preview') === 'true',
        detectsClosedWindow: query.get('detectClosedAuthWindow') === 'true',
        theme: isThemeChoice(theme) ? theme : undefined,
        lang: query.get('lang'),
        token: token || undefined,
        returnedFlow: flow || undefined,
        leftFor: undefined,
        popup: {
            width: pixels(query.get('popup_width')),
            height: pixels(query.get('popup_height')),
        },
        search: kept.size === 0 ? '' : `?${kept.toString()}`,
    };
}

const pixels = (text: string | null): number | undefined => {
    const number = Number(text);
    return text !== null && Number.isInteger(number) && number >= 200 && number <= 4000 ? number : undefined;
};

/** Centred on the screen, and no larger than it. @param hints the first that names a measure decides it */
export function windowFeatures(
    hints: readonly (PopupHint | undefined)[],
    screen: { width: number; height: number; left?: number; top?: number },
): string {
    const wanted = (measure: keyof PopupHint): number => hints.find((hint) => hint?.[measure] !== undefined)?.[measure] ?? defaultPopup[measure];
    const width = Math.min(wanted('width'), screen.width);
    const height = Math.min(wanted('height'), screen.height);
    const left = Math.round((screen.left ?? 0) + (screen.width - width) / 2);
    const top = Math.round((screen.top ?? 0) + (screen.height - height) / 2);
    return `popup,width=${width},height=${height},left=${left},top=${top}`;
}
