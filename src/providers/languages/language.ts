/** English is what the catalogue is written in; each of the others has a file of texts here. */
export const translatedLanguages = ['es', 'fr', 'de'] as const;

export type TranslatedLanguage = (typeof translatedLanguages)[number];
export type Language = 'en' | TranslatedLanguage;

export const isLanguage = (text: string): text is Language => text === 'en' || (translatedLanguages as readonly string[]).includes(text);
