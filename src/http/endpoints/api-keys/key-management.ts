/** Who manages whose keys: an environment key those of its environment, an account key those of any (decision 3). */
import type { KeyManagement } from '../../../environments/api-keys.ts';
import { Refusal } from '../../../environments/refusal.ts';
import * as apiKeys from '../../../store/api-keys.ts';
import * as environments from '../../../store/environments.ts';
import type { Principal } from '../../authentication.ts';
import { ApiError } from '../../errors.ts';
import { hasScope } from '../../scopes.ts';
import type { Services } from '../../services.ts';

/** How making a key can fail, of whichever kind it is. */
export const creationErrors = { 400: ['resource_capped'], 409: ['conflict'] } as const;
export const changeErrors = { 404: ['not_found'], 409: ['conflict', 'last_full_access_key', 'managed_by_configuration', 'key_replaced'] } as const;
export const rotationErrors = { 404: ['not_found'], 409: ['conflict', 'managed_by_configuration', 'key_replaced', 'key_expired'] } as const;
export const deletionErrors = { 404: ['not_found'], 409: ['last_full_access_key', 'managed_by_configuration'] } as const;

export const managementBy = ({ database, vault, sources }: Services, principal: Principal): KeyManagement => ({
    db: database.db,
    vault,
    sources,
    manager: { isAccountKey: principal.kind === 'account key', holds: (scope) => hasScope(principal.scopes, scope) },
});

/**
 * The environment that the request is about, by its row id. For an environment key any other does not exist.
 * @throws Refusal `not_found`; ApiError 400 where an account key names none
 */
export async function namedEnvironment(
    services: Services,
    principal: Principal,
    publicId: number | undefined,
    invalid: 'invalid_body' | 'invalid_query_params',
): Promise<string> {
    const own = principal.environment?.id;
    if (publicId === undefined) {
        if (own === undefined) {
            const message = 'An account key names the environment';
            throw ApiError.invalid(invalid, [{ code: 'invalid_type', message, path: ['environment_id'] }]);
        }
        return own;
    }
    const found = await environments.findByPublicId(services.database.db, publicId);
    if (found === undefined || (own !== undefined && found.id !== own)) {
        throw new Refusal('not_found', 'There is no environment with this id.');
    }
    return found.id;
}

/** The environment whose key it is; whether an environment key may see it is found out with the key. @throws Refusal `not_found` */
export async function environmentOfKey({ database }: Services, principal: Principal, keyId: number): Promise<string> {
    const id = principal.environment?.id ?? (await apiKeys.environmentOf(database.db, keyId));
    if (id === undefined) {
        throw new Refusal('not_found', 'There is no API key with this id.');
    }
    return id;
}
