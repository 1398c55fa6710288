/**
 * Descriptions of fields by the clauses they are made of. A thousand fields are described in a few dozen turns, so a turn is
 * translated once: "An API key of your {name} account", then "; it has {value} characters".
 */

/** Translates the description of a field of the provider with this display name; `undefined`: some clause of it is not known. */
export type DescriptionTranslator = (description: string, displayName: string) => string | undefined;

const clauseStarts = /(?=; |, such as |, without https:\/\/)/;

/** `translations`: by the English clause, without the full stop. `{name}` is the provider, `{value}` one word. */
export function describeIn(translations: Readonly<Record<string, string>>): DescriptionTranslator {
    const clauses = Object.entries(translations).map(([english, translation]) => ({ pattern: patternOf(english), translation }));

    const translate = (clause: string, displayName: string): string | undefined => {
        for (const { pattern, translation } of clauses) {
            const found = pattern.exec(clause);
            // "Zoho" for Zoho CRM, "Gong" for Gong (OAuth); anything else would be some English words.
            if (found && displayName.startsWith(found.groups?.['name'] ?? '')) {
                return translation.replace(/\{(name|value)\}/g, (_, placeholder: string) => found.groups?.[placeholder] ?? '');
            }
        }
        return undefined;
    };

    return (description, displayName) => {
        if (!description.endsWith('.')) return undefined;
        const translated = description
            .slice(0, -1)
            .split(clauseStarts)
            .map((clause) => translate(clause, displayName));
        return translated.includes(undefined) ? undefined : `${translated.join('')}.`;
    };
}

function patternOf(english: string): RegExp {
    let isNamed = false;
    const source = english.split(/(\{name\}|\{value\})/).map((part) => {
        if (part === '{value}') return String.raw`(?<value>\S+)`;
        if (part !== '{name}') return RegExp.escape(part);
        const isAgain = isNamed;
        isNamed = true;
        return isAgain ? String.raw`\k<name>` : '(?<name>.+?)';
    });
    return new RegExp(`^${source.join('')}$`);
}
