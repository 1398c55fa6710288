/** A provider's picture: its logo on a tile that goes with light and dark pages, or its initials. */
import type { Logo } from './logos.ts';

/** WCAG 2.2, 1.4.11: what has to be recognised stands out by this much. */
const leastContrast = 3;
const white = 'ffffff';
const nearlyBlack = '16181d';

export function logoTile({ hex, path }: Logo): string {
    const isPale = contrast(hex, white) < leastContrast;
    const [tile, edge] = isPale ? [nearlyBlack, white] : [white, '000000'];
    return svg(
        `<rect x=".5" y=".5" width="47" height="47" rx="10" fill="#${tile}" stroke="#${edge}" stroke-opacity=".14"/>` +
            `<path transform="translate(11 11) scale(1.0834)" fill="#${hex}" d="${path}"/>`,
    );
}

/** Variants of a provider, which differ in what stands in brackets, look the same; its neighbours in a list do not. */
export function monogramTile(displayName: string): string {
    const name = displayName.replace(/\(.*\)/g, '').trim();
    const hue = [...name].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 360, 7);
    const initials = initialsOf(name);
    return svg(
        `<rect width="48" height="48" rx="10" fill="hsl(${hue} 42% 34%)"/>` +
            `<text x="24" y="24" dy=".36em" font-family="system-ui, sans-serif" font-size="${initials.length > 1 ? 19 : 24}" font-weight="600" fill="#fff" text-anchor="middle">${initials}</text>`,
    );
}

/** Of the first two words. Letters and digits only, so that nothing has to be escaped. */
function initialsOf(name: string): string {
    const initials = [...name.matchAll(/[\p{L}\p{N}]+/gu)].slice(0, 2).map(([word]) => [...word][0]);
    return initials.length === 0 ? '?' : initials.join('').toUpperCase();
}

const svg = (content: string): string => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">${content}</svg>`;

/** WCAG 2.2, contrast ratio of two colours `rrggbb`. */
export function contrast(one: string, other: string): number {
    const [lighter = 0, darker = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
    return (lighter + 0.05) / (darker + 0.05);
}

function luminance(hex: string): number {
    const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) => {
        const share = parseInt(hex.slice(at, at + 2), 16) / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
