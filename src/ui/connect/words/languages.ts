/** Which language the page speaks (frontend contract §3.5). English is part of the page; the others are loaded when they are needed. */
import { en, type Words } from './en.ts';

const loaders = {
    fr: () => import('./fr.ts'),
    de: () => import('./de.ts'),
    es: () => import('./es.ts'),
    ja: () => import('./ja.ts'),
};

export type Language = 'en' | keyof typeof loaders;

export const languages: readonly Language[] = ['en', 'fr', 'de', 'es', 'ja'];

/** `fr-FR` is `fr`. What the address asks for beats the browser; what is not spoken here is English. */
export function languageOf(fromAddress: string | null, fromBrowser: string): Language {
    const wanted = (fromAddress || fromBrowser).toLowerCase().split(/[-_]/)[0]!;
    return languages.find((language) => language === wanted) ?? 'en';
}

/** Texts that did not arrive are English: a page in another language beats none. */
export async function loadWords(language: Language): Promise<{ language: Language; words: Words }> {
    if (language !== 'en') {
        try {
            return { language, words: (await loaders[language]()).words };
        } catch {
            // said above
        }
    }
    return { language: 'en', words: en };
}

/** `fill('Connect {name}', { name: 'Acme' })` */
export const fill = (text: string, values: Readonly<Record<string, string | number>>): string =>
    text.replace(/\{(\w+)\}/g, (placeholder, name: string) => String(values[name] ?? placeholder));
