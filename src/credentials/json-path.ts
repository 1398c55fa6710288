/** Paths into JSON answers, as the catalogue has them: `data.items[0].token`. */

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** A member whose own name is the whole path comes first. The empty path is the answer itself. */
export function valueAt(answer: unknown, path: string): unknown {
    let value = answer;
    for (const step of stepsOf(answer, path)) {
        if (!isObject(value) || !Object.hasOwn(value, step)) return undefined;
        value = value[step];
    }
    return value;
}

/** The object or list that the last step of a path is taken from. */
export const containerOf = (answer: unknown, path: string): unknown =>
    stepsOf(answer, path)
        .slice(0, -1)
        .reduce<unknown>((value, step) => (isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined), answer);

/** A copy without the member that the path leads to. */
export const withoutValueAt = (answer: unknown, path: string): unknown => without(answer, stepsOf(answer, path));

function without(value: unknown, [step, ...rest]: readonly string[]): unknown {
    if (step === undefined || !isObject(value) || !Object.hasOwn(value, step)) return value;
    if (Array.isArray(value)) return value.map((item, index): unknown => (String(index) === step ? without(item, rest) : item));
    // `fromEntries` defines members; an assignment would lose one that a provider named `__proto__`.
    return Object.fromEntries(
        Object.entries(value).flatMap(([name, member]): [string, unknown][] => {
            if (name !== step) return [[name, member]];
            return rest.length === 0 ? [] : [[name, without(member, rest)]];
        }),
    );
}

function stepsOf(answer: unknown, path: string): string[] {
    if (path === '') return [];
    return isObject(answer) && Object.hasOwn(answer, path) ? [path] : path.replaceAll(/\[(\w+)\]/g, '.$1').split('.');
}
