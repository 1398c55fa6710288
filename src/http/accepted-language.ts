/** The language of an answer, as the caller likes it (catalogue contract 13). */
import { isLanguage, type Language } from '../providers/languages/language.ts';
import { qualityValues } from './quality-values.ts';

export const acceptLanguageDescription = 'Texts are in English, or by `Accept-Language` in `es`, `fr` or `de`.';

/** The first of those liked best; a region does not matter. English where nothing is left, since an answer in it beats none. */
export function acceptedLanguage(header: string | undefined): Language {
    let best: { language: Language; weight: number } = { language: 'en', weight: 0 };
    for (const [range, weight] of qualityValues(header)) {
        const [language = ''] = range.split('-');
        if (weight > best.weight && isLanguage(language)) {
            best = { language, weight };
        }
    }
    return best.language;
}
