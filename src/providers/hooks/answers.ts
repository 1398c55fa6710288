/** Reading what a provider answered a hook. What is missing is named; what was answered instead is not repeated (E5). */
import { HookFailure, type HookAnswer, type HookCall, type HookContext, type Verdict } from './hook.ts';

/** The body of a 2xx answer. @throws HookFailure, EgressError */
export async function ask(context: HookContext, call: HookCall): Promise<unknown> {
    const { status, body } = await context.call(call);
    if (!isSuccess(status)) {
        throw new HookFailure(`${nameOf(call)} answered ${status}`);
    }
    return body;
}

/** One value of a 2xx answer: a text or a number, as the provider has it. @throws HookFailure, EgressError */
export async function askFor(context: HookContext, call: HookCall, path: string): Promise<string | number> {
    return idAt(await ask(context, call), path, nameOf(call));
}

/** One value of what a GraphQL endpoint answers to a query without variables. @throws HookFailure, EgressError */
export const askGraphql = (context: HookContext, endpoint: string, query: string, path: string): Promise<string | number> =>
    askFor(context, { method: 'POST', endpoint, json: { query } }, `data.${path}`);

/** @throws HookFailure when there is neither text nor a number */
export function idAt(body: unknown, path: string, source: string): string | number {
    const value = at(body, path);
    if (isId(value)) {
        return value;
    }
    throw new HookFailure(`${source} answered without ${path}`);
}

/** @throws HookFailure when there is no list */
export function listAt(body: unknown, path: string, source: string): unknown[] {
    const value = path === '' ? body : at(body, path);
    if (Array.isArray(value)) {
        return value;
    }
    throw new HookFailure(`${source} answered without a list`);
}

/** What stands at a dotted path; own members only. */
export function at(value: unknown, path: string): unknown {
    return path
        .split('.')
        .reduce<unknown>(
            (inner, name) =>
                typeof inner === 'object' && inner !== null && Object.hasOwn(inner, name) ? (inner as Record<string, unknown>)[name] : undefined,
            value,
        );
}

export const isId = (value: unknown): value is string | number => (typeof value === 'string' && value !== '') || Number.isFinite(value);

export const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** Overload and outages say nothing about credentials (A3). */
export const isSilence = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** Where the status decides, and `confirms` has the last word about a 2xx. */
export const verdictOf = ({ status, body }: HookAnswer, confirms: (body: unknown) => boolean = () => true): Verdict =>
    isSilence(status) ? 'unavailable' : isSuccess(status) && confirms(body) ? 'accepted' : 'rejected';

/** As a person finds it in the vendor's documentation; without its query. */
export const nameOf = ({ method = 'GET', endpoint }: HookCall): string => `${method} ${endpoint.split('?', 1)[0]}`;
