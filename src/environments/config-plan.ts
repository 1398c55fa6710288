/**
 * From a declared configuration (S7) to what has to be done: compares, remembers what differs and what is wrong, and writes at
 * the end, all of it or nothing. Secrets are referenced; a reference takes its value from beside the document or keeps what is
 * stored, and no secret is ever part of a change's description.
 */
import { isDeepStrictEqual } from 'node:util';

/** `{"secret": "<name>"}` in place of a value. */
export interface SecretReference {
    secret: string;
}

export interface ConfigChange {
    /** `webhooks.primary_url`, `integrations.github.scopes`. */
    path: string;
    kind: 'added' | 'changed' | 'removed';
    /** Absent for secrets. */
    from?: unknown;
    to?: unknown;
}

export interface ConfigIssue {
    code: 'custom';
    message: string;
    path: string[];
}

export class ConfigPlan {
    readonly changes: ConfigChange[] = [];
    readonly issues: ConfigIssue[] = [];
    readonly #secrets: ReadonlyMap<string, string>;
    readonly #used = new Set<string>();
    readonly #steps: (() => Promise<unknown>)[] = [];

    constructor(secrets: Readonly<Record<string, string>>) {
        this.#secrets = new Map(Object.entries(secrets));
    }

    refuse(path: readonly string[], message: string): void {
        this.issues.push({ code: 'custom', message, path: [...path] });
    }

    /** Notes the difference, if there is one. @returns whether */
    differs(path: readonly string[], from: unknown, to: unknown): boolean {
        const isDifferent = !isDeepStrictEqual(from, to);
        if (isDifferent) {
            this.changes.push({ path: path.join('.'), kind: kindOf(from, to), from, to });
        }
        return isDifferent;
    }

    /** As `differs`, for what must not be shown. */
    secretDiffers(path: readonly string[], from: string | null, to: string | null): boolean {
        if (from !== to) {
            this.changes.push({ path: path.join('.'), kind: kindOf(from, to) });
        }
        return from !== to;
    }

    /** @returns the value that a reference stands for; `undefined` when there is none, which is an issue then. */
    valueOf(path: readonly string[], { secret }: SecretReference, stored: string | null | undefined, maxLength: number): string | undefined {
        this.#used.add(secret);
        const given = this.#secrets.get(secret);
        if (given !== undefined && given.length > maxLength) {
            this.refuse(['secrets', secret], `At most ${maxLength} characters are allowed here`);
            return undefined;
        }
        const value = given ?? stored ?? undefined;
        if (value === undefined) {
            this.refuse(path, 'Nothing is stored for this secret yet, and `secrets` does not have it');
        }
        return value;
    }

    /** Something to write, once everything was found in order. */
    step(write: () => Promise<unknown>): void {
        this.#steps.push(write);
    }

    /** To be called when every section was compared: a secret that nothing refers to is a slip of the pen. */
    refuseUnused(): void {
        if (this.issues.length > 0) {
            // What was refused was not looked at to the end.
            return;
        }
        for (const name of this.#secrets.keys()) {
            if (!this.#used.has(name)) {
                this.refuse(['secrets', name], 'Nothing in the document refers to this secret');
            }
        }
    }

    async carryOut(): Promise<void> {
        for (const step of this.#steps) {
            await step();
        }
    }
}

const isNothing = (value: unknown): boolean => value === null || value === undefined || (Array.isArray(value) && value.length === 0);
const kindOf = (from: unknown, to: unknown): ConfigChange['kind'] => (isNothing(from) ? 'added' : isNothing(to) ? 'removed' : 'changed');
