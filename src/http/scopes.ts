/** API key scopes (http-api §1.4, settings S1), and who may call an endpoint. */
import type { Principal } from './authentication.ts';
import { ApiError } from './errors.ts';

/** Everything an environment key may be allowed. */
export const fullEnvironmentAccess = 'environment:*';

/** Scopes that open something here. */
export const environmentScopes = [
    'environment:integrations:list',
    'environment:integrations:list_credentials',
    'environment:integrations:read',
    'environment:integrations:read_credentials',
    'environment:integrations:create',
    'environment:integrations:update',
    'environment:integrations:delete',
    'environment:connections:list',
    'environment:connections:list_credentials',
    'environment:connections:read',
    'environment:connections:read_credentials',
    'environment:connections:create',
    'environment:connections:update',
    'environment:connections:delete',
    'environment:connect_sessions:write',
    'environment:variables:read',
    'environment:variables:write',
    'environment:webhook_signing_key:rotate',
    'environment:webhooks:read',
    'environment:webhooks:write',
    'environment:webhooks:redeliver',
    'environment:api_keys:read',
    'environment:api_keys:write',
    'environment:settings:read',
    'environment:settings:update',
    'environment:audit:read',
    'environment:logs:read',
    'environment:proxy',
] as const;

export const accountScopes = [
    'account:environments:list',
    'account:environments:create',
    'account:environments:delete',
    'account:environments:set_production',
    'account:environments:api_keys:read',
    'account:environments:api_keys:create',
    'account:environments:api_keys:update',
    'account:environments:api_keys:delete',
    'account:api_keys:read',
    'account:api_keys:write',
] as const;

export type Scope = (typeof environmentScopes)[number] | (typeof accountScopes)[number];

/**
 * Who may call an endpoint, declared beside its route: anyone; a connect session; any caller with an environment; or a key
 * that holds any of these scopes. A scope of an environment needs a key of a live environment, one of the account an account key.
 */
export type Access = 'anyone' | 'connect session' | 'environment' | readonly [Scope, ...Scope[]];

/** A grant covers a scope that equals it, or that begins with what stands before its `*`. */
export const hasScope = (granted: readonly string[], required: string): boolean =>
    granted.some((scope) => scope === required || (scope.endsWith(':*') && required.startsWith(scope.slice(0, -1))));

/** @throws ApiError 403 `forbidden` naming what is missing */
export function assertAccess(principal: Principal, access: Access): void {
    if (access === 'anyone' || access === 'connect session') {
        return;
    }
    if (access === 'environment') {
        if (principal.environment === undefined) {
            throw ApiError.simple(403, 'forbidden', 'This key belongs to no environment.');
        }
        return;
    }
    for (const scope of access) {
        if (targets(principal, scope) && hasScope(principal.scopes, scope)) {
            return;
        }
    }
    const required = access.length === 1 ? `Required: ${access[0]}` : `Required one of: ${access.join(' or ')}`;
    const why = principal.kind === 'key' && principal.environment === undefined ? 'The environment of this key was deleted.' : 'Insufficient scope.';
    throw ApiError.simple(403, 'forbidden', `${why} ${required}`);
}

/** Whether the family of a scope fits what the key belongs to. */
const targets = (principal: Principal, scope: Scope): boolean =>
    scope.startsWith('account:') ? principal.kind === 'account key' : principal.environment !== undefined;
