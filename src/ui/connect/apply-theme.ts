/** Puts theme and brand colour on the document. Custom properties are set from script, which the policy of the page allows. */
import type { UiSettings } from './api-types.ts';
import { accentOf, modeOf, parseColour, type Rgb, type ThemeChoice } from './theme.ts';

const systemDark = matchMedia('(prefers-color-scheme: dark)');

export class Theme {
    readonly #fromAddress: ThemeChoice | undefined;
    #settings: UiSettings | undefined;

    /** Settles the theme before anything is drawn, and follows the system from then on (§7.33). */
    constructor(fromAddress: ThemeChoice | undefined) {
        this.#fromAddress = fromAddress;
        systemDark.addEventListener('change', () => this.#apply());
        this.#apply();
    }

    use(settings: UiSettings): void {
        if (this.#settings === settings) return;
        this.#settings = settings;
        this.#apply();
    }

    #apply(): void {
        const mode = modeOf(this.#fromAddress, this.#settings?.defaultTheme, systemDark.matches);
        const { classList, style } = document.documentElement;
        classList.toggle('dark', mode === 'dark');
        classList.toggle('light', mode === 'light');
        const primary = this.#settings && resolve(this.#settings.theme[mode].primary);
        if (primary === undefined) return;
        const accent = accentOf(primary, mode);
        style.setProperty('--primary', accent.primary);
        style.setProperty('--on-primary', accent.onPrimary);
        style.setProperty('--primary-shade', accent.shade);
        classList.toggle('pale-primary', accent.needsOutline);
        classList.toggle('readable-primary', accent.isText);
    }
}

/** Any colour that the browser knows, as it would paint it. */
function resolve(colour: string): Rgb | undefined {
    const known = parseColour(colour);
    if (known || !CSS.supports('color', colour)) return known;
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
    if (!context) return undefined;
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
    return [red, green, blue];
}
