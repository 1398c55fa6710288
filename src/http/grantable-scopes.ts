/** What a key can be granted (http-api §1.4, webhooks §4.3): every scope, their wildcards, and names that open nothing here. */
import { accountScopes, environmentScopes } from './scopes.ts';

/** Of parts of the reference that do not exist here; accepted so that a key can be made as it was there. */
const inertScopes = [
    'environment:integrations:list_functions',
    'environment:syncs:read',
    'environment:syncs:execute',
    'environment:syncs:update',
    'environment:syncs:variant:create',
    'environment:syncs:variant:delete',
    'environment:functions:list',
    'environment:functions:read',
    'environment:functions:delete',
    'environment:functions:compile',
    'environment:functions:dryrun',
    'environment:functions:invocations',
    'environment:deploy',
    'environment:records:read',
    'environment:records:write',
    'environment:actions:execute',
    'environment:mcp',
];

/** `a:*` and `a:b:*` of `a:b:c`. */
const wildcardsOf = (scope: string): string[] => {
    const parts = scope.split(':');
    return parts.slice(1).map((_part, index) => `${parts.slice(0, index + 1).join(':')}:*`);
};

const withWildcards = (scopes: readonly string[]): string[] => [...new Set(scopes.flatMap((scope) => [...wildcardsOf(scope), scope]))].toSorted();

export const grantableToEnvironmentKeys: readonly string[] = withWildcards([...environmentScopes, ...inertScopes]);
export const grantableToAccountKeys: readonly string[] = withWildcards(accountScopes);
