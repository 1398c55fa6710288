/** What the document says before its script does. The page's own words are in `src/ui/connect/words`. */
import { qualityValues } from '../quality-values.ts';

interface FirstWords {
    title: string;
    loading: string;
    noScript: string;
}

const firstWords = {
    en: { title: 'Connect an account', loading: 'Loading…', noScript: 'This page needs JavaScript. Please allow it, and load the page again.' },
    fr: {
        title: 'Connecter un compte',
        loading: 'Chargement…',
        noScript: 'Cette page a besoin de JavaScript. Veuillez l’autoriser, puis recharger la page.',
    },
    de: {
        title: 'Konto verbinden',
        loading: 'Wird geladen…',
        noScript: 'Diese Seite braucht JavaScript. Bitte erlauben Sie es und laden Sie die Seite neu.',
    },
    es: {
        title: 'Conectar una cuenta',
        loading: 'Cargando…',
        noScript: 'Esta página necesita JavaScript. Permítalo y vuelva a cargar la página.',
    },
    ja: {
        title: 'アカウントの接続',
        loading: '読み込み中…',
        noScript: 'このページには JavaScript が必要です。有効にして、ページを再読み込みしてください。',
    },
} as const satisfies Record<string, FirstWords>;

export type PageLanguage = keyof typeof firstWords;

export const firstWordsIn = (language: PageLanguage): FirstWords => firstWords[language];

/** The page's `lang` beats the browser; a region does not matter; English where nothing fits (frontend contract §3.5, §7.32). */
export function pageLanguage(wanted: unknown, acceptLanguage: string | undefined): PageLanguage {
    const chosen = typeof wanted === 'string' ? known(wanted) : undefined;
    const liked = qualityValues(acceptLanguage)
        .filter(([range, weight]) => weight > 0 && known(range) !== undefined)
        .toSorted(([, a], [, b]) => b - a);
    return chosen ?? known(liked[0]?.[0] ?? '') ?? 'en';
}

function known(range: string): PageLanguage | undefined {
    const [language = ''] = range.toLowerCase().split('-');
    return Object.hasOwn(firstWords, language) ? (language as PageLanguage) : undefined;
}
