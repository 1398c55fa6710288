/**
 * Tests a value against a field's `pattern` (ECMAScript, no flags). Built-in patterns are reviewed and run directly. An
 * operator's pattern may backtrack for minutes on a hostile value, so it runs under a time limit (catalogue contract 7.3).
 */
import { createContext, Script } from 'node:vm';

/** Generous for any sane pattern, whose test takes microseconds; reached only by runaway backtracking. */
const operatorLimitMs = 250;

export interface Pattern {
    /** The pattern occurs in the value, as written: anchoring is the author's business. */
    matches(value: string): boolean;
    /** The pattern accounts for the value from its first to its last character, anchored or not. */
    spans(value: string): boolean;
}

/** @throws SyntaxError when the expression does not compile (E09). */
export function compilePattern(source: string, isBuiltin: boolean): Pattern {
    const test = isBuiltin ? (pattern: RegExp, value: string) => pattern.test(value) : testWithinLimit;
    const pattern = new RegExp(source);
    let whole: RegExp | undefined;
    return {
        matches: (value) => test(pattern, value),
        spans: (value) => test((whole ??= new RegExp(`^(?:${source})$`)), value),
    };
}

const script = new Script('pattern.test(value)');
let sandbox: { pattern?: RegExp; value?: string } | undefined;

/** A value that cannot be judged in time does not match. */
function testWithinLimit(pattern: RegExp, value: string): boolean {
    // vm is used for its interrupt alone; the only code that runs is the constant script above.
    sandbox ??= createContext({}) as { pattern?: RegExp; value?: string };
    sandbox.pattern = pattern;
    sandbox.value = value;
    try {
        return script.runInContext(sandbox, { timeout: operatorLimitMs }) === true;
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false;
        throw error;
    }
}
