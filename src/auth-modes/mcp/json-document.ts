/** Members of JSON documents that others publish: what is not what it should be counts as absent. */

export type JsonObject = Record<string, unknown>;

export function parseJsonObject({ body }: { body: Buffer }): JsonObject | undefined {
    try {
        return asObject(JSON.parse(body.toString('utf8')));
    } catch {
        return undefined;
    }
}

/** An object, or the JSON text of one: the reference stores some of these as text. */
export function asObject(value: unknown): JsonObject | undefined {
    if (typeof value === 'string') {
        try {
            const parsed: unknown = JSON.parse(value);
            return typeof parsed === 'string' ? undefined : asObject(parsed);
        } catch {
            return undefined;
        }
    }
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

export function textOf(document: JsonObject, name: string, longest = 2048): string | undefined {
    const value = document[name];
    return typeof value === 'string' && value !== '' && value.length <= longest ? value : undefined;
}

export function listOf(document: JsonObject, name: string): string[] | undefined {
    const value = document[name];
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined;
}
