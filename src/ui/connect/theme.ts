/** Colours that can be read whatever the brand's are (frontend contract §3.6, §7.34): WCAG 2.2 contrast, without a DOM. */

export type Rgb = readonly [red: number, green: number, blue: number];
export type Mode = 'light' | 'dark';

export interface Accent {
    /** Behind the text of a button. */
    readonly primary: string;
    readonly onPrimary: '#ffffff' | '#000000';
    /** What the button is mixed with under a pointer: away from its text, so that it stays readable. */
    readonly shade: '#ffffff' | '#000000';
    /** The button needs an edge to be seen against the card (1.4.11). */
    readonly needsOutline: boolean;
    /** The primary colour can be read as text on the card (1.4.3). */
    readonly isText: boolean;
}

/** What cards are made of; style/base.css has the same. */
export const surfaces: Readonly<Record<Mode, Rgb>> = { light: [255, 255, 255], dark: [23, 25, 31] };

export const themeChoices = ['light', 'dark', 'system'] as const;
export type ThemeChoice = (typeof themeChoices)[number];

export const isThemeChoice = (text: unknown): text is ThemeChoice => (themeChoices as readonly unknown[]).includes(text);

/** The address beats the settings, and the settings the system. */
export function modeOf(fromAddress: ThemeChoice | undefined, fromSettings: ThemeChoice | undefined, isSystemDark: boolean): Mode {
    const choice = fromAddress ?? fromSettings ?? 'system';
    return choice === 'system' ? (isSystemDark ? 'dark' : 'light') : choice;
}

/** `#rgb`, `#rrggbb` and what browsers make of any other colour: `rgb(r, g, b)`. */
export function parseColour(text: string): Rgb | undefined {
    const hex = /^#(?:([0-9a-f]{3})|([0-9a-f]{6}))$/i.exec(text.trim());
    if (hex) {
        const digits = hex[2] ?? [...hex[1]!].map((digit) => digit + digit).join('');
        return [0, 2, 4].map((at) => Number.parseInt(digits.slice(at, at + 2), 16)) as unknown as Rgb;
    }
    const parts = /^rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)/.exec(text.trim());
    return parts ? [Number(parts[1]), Number(parts[2]), Number(parts[3])] : undefined;
}

function luminance(colour: Rgb): number {
    const [red, green, blue] = colour.map((channel) => {
        const share = channel / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    }) as unknown as Rgb;
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrast(a: Rgb, b: Rgb): number {
    const [lighter, darker] = [luminance(a), luminance(b)].toSorted((x, y) => y - x) as [number, number];
    return (lighter + 0.05) / (darker + 0.05);
}

const white: Rgb = [255, 255, 255];

/** White where it can be read: it looks calmer on a colour. Black is readable wherever white is not. */
export function accentOf(primary: Rgb, mode: Mode): Accent {
    const isWhiteReadable = contrast(primary, white) >= 4.5;
    return {
        primary: `rgb(${primary.join(' ')})`,
        onPrimary: isWhiteReadable ? '#ffffff' : '#000000',
        shade: isWhiteReadable ? '#000000' : '#ffffff',
        needsOutline: contrast(primary, surfaces[mode]) < 3,
        isText: contrast(primary, surfaces[mode]) >= 4.5,
    };
}
