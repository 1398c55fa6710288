/** API key scopes (http-api §1.4, settings S1). */
import type { Principal } from './authentication.ts';
import { ApiError } from './errors.ts';

/** Everything an environment key may be allowed. */
export const fullEnvironmentAccess = 'environment:*';

/** A grant covers a scope that equals it, or that begins with what stands before its `*`. */
export const hasScope = (granted: readonly string[], required: string): boolean =>
    granted.some((scope) => scope === required || (scope.endsWith(':*') && required.startsWith(scope.slice(0, -1))));

/** @throws ApiError 403 `forbidden` naming what is missing */
export function assertScope(principal: Principal, anyOf: readonly string[]): void {
    if (principal.kind === 'nobody') {
        return;
    }
    if (principal.environment === undefined) {
        throw ApiError.simple(403, 'forbidden', 'This key belongs to no environment.');
    }
    if (anyOf.length > 0 && !anyOf.some((scope) => hasScope(principal.scopes, scope))) {
        const required = anyOf.length === 1 ? `Required: ${anyOf[0]}` : `Required one of: ${anyOf.join(' or ')}`;
        throw ApiError.simple(403, 'forbidden', `Insufficient scope. ${required}`);
    }
}
