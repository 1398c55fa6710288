/** /environment/api-keys: the keys of an environment (http-api §10.3, settings S2, S4–S6). */
import { z } from 'zod';
import { createKey, deleteKey, rotateKey, updateKey } from '../../../environments/api-keys.ts';
import * as apiKeys from '../../../store/api-keys.ts';
import { apiKey, type Principal } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { PublicId, PublicIdInBody } from '../../field-types.ts';
import { grantableToEnvironmentKeys } from '../../grantable-scopes.ts';
import type { Services } from '../../services.ts';
import { keyChange, keyFields, KeyParams, RotateBody, UpdateBody, wantedKey } from './key-fields.ts';
import { changeErrors, creationErrors, deletionErrors, environmentOfKey, managementBy, namedEnvironment, rotationErrors } from './key-management.ts';
import { Deleted, KeyAnswer, KeysAnswer, keyView, NewKeyAnswer, newKeyView, RotatedKeyAnswer, rotatedKeyView } from './key-view.ts';

const whoNames = 'Required from an account key. An environment key manages its own environment, and need not name it.';
const EnvironmentId = PublicIdInBody.describe(whoNames);

const whoMay = 'For a key of the environment, or an account key.';
const full = '`environment:*`';

/** An account key has no environment of its own to mean. */
const isAccountKey = (principal: Principal): boolean => principal.kind === 'account key';

export const listEnvironmentKeys = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/environment/api-keys'],
        tag: 'API keys',
        summary: 'List the API keys of an environment',
        description: `${whoMay} The keys themselves are never shown again.`,
        authenticate: apiKey(services),
        access: ['environment:api_keys:read', 'account:environments:api_keys:read'],
        answers: { 200: KeysAnswer },
        errors: { 404: ['not_found'] },
        query: z.strictObject({ environment_id: PublicId.optional().describe(whoNames) }),
        async handle({ query, principal }) {
            const { database, sources } = services;
            const environment = await namedEnvironment(services, principal, query.environment_id, 'invalid_query_params');
            return { data: (await apiKeys.list(database.db, environment, new Date(sources.now()))).map(keyView) };
        },
    });

export const createEnvironmentKey = (services: Services) => {
    const fields = keyFields(services.sources, grantableToEnvironmentKeys).create;
    const Body = z
        .strictObject({ environment_id: EnvironmentId.optional(), ...fields })
        .meta({ examples: [{ environment_id: 2, display_name: 'Continuous integration' }] });
    const AccountKeyBody = z.strictObject({ environment_id: EnvironmentId, ...fields });
    return endpoint({
        method: 'POST',
        creates: true,
        paths: ['/environment/api-keys'],
        tag: 'API keys',
        summary: 'Create an API key of an environment',
        description:
            `${whoMay} An environment key grants only scopes that it holds itself (403 \`forbidden\`). ` +
            'A name that is taken answers 409 `conflict`; the 51st key of an environment 400 `resource_capped`.',
        authenticate: apiKey(services),
        access: ['environment:api_keys:write', 'account:environments:api_keys:create'],
        answers: { 200: NewKeyAnswer },
        errors: { ...creationErrors, 404: ['not_found'] },
        body: Body,
        bodyFor: (_raw, principal) => (isAccountKey(principal) ? AccountKeyBody : Body),
        noStore: true,
        async handle({ body, principal }) {
            const environment = await namedEnvironment(services, principal, body.environment_id, 'invalid_body');
            return { data: newKeyView(await createKey(managementBy(services, principal), environment, wantedKey(body, services.sources))) };
        },
    });
};

export const updateEnvironmentKey = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/environment/api-keys/:keyId'],
        tag: 'API keys',
        summary: 'Change an API key of an environment',
        description:
            `${whoMay} Effective with the next request. An environment key needs the scopes that the changed key will have (403 \`forbidden\`), unless ` +
            `it only renames it, and cannot demote or let expire the last key with ${full} (409 \`last_full_access_key\`). Keys fixed by configuration ` +
            'answer 409 `managed_by_configuration`, rotated ones 409 `key_replaced`.',
        authenticate: apiKey(services),
        access: ['environment:api_keys:write', 'account:environments:api_keys:update'],
        answers: { 200: KeyAnswer },
        errors: changeErrors,
        params: KeyParams,
        body: UpdateBody(services.sources, grantableToEnvironmentKeys),
        noStore: true,
        async handle({ params, body, principal }) {
            const environment = await environmentOfKey(services, principal, params.keyId);
            return { data: keyView(await updateKey(managementBy(services, principal), environment, params.keyId, keyChange(body))) };
        },
    });

export const rotateEnvironmentKey = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/environment/api-keys/:keyId/rotate'],
        tag: 'API keys',
        operationId: 'rotateEnvironmentApiKey',
        summary: 'Replace an API key of an environment by a successor',
        description:
            `${whoMay} The successor has the name, scopes, addresses and expiry of its predecessor, which keeps working until the overlap ends. ` +
            'An environment key needs every scope of the key (403 `forbidden`).',
        authenticate: apiKey(services),
        access: ['environment:api_keys:write', 'account:environments:api_keys:update'],
        answers: { 200: RotatedKeyAnswer },
        errors: rotationErrors,
        params: KeyParams,
        body: RotateBody,
        noStore: true,
        async handle({ params, body, principal }) {
            const environment = await environmentOfKey(services, principal, params.keyId);
            const rotated = await rotateKey(managementBy(services, principal), environment, params.keyId, body.overlap_seconds);
            return { data: rotatedKeyView(rotated) };
        },
    });

const deletion =
    `${whoMay} Effective with the next request. An environment key cannot delete the last key with ${full} (409 \`last_full_access_key\`); ` +
    'keys fixed by configuration answer 409 `managed_by_configuration`.';

export const deleteEnvironmentKey = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/environment/api-keys/:keyId'],
        tag: 'API keys',
        summary: 'Delete an API key of an environment',
        description: deletion,
        authenticate: apiKey(services),
        access: ['environment:api_keys:write', 'account:environments:api_keys:delete'],
        answers: { 200: Deleted },
        errors: deletionErrors,
        params: KeyParams,
        noStore: true,
        async handle({ params, principal }) {
            const environment = await environmentOfKey(services, principal, params.keyId);
            await deleteKey(managementBy(services, principal), environment, params.keyId);
            return { success: true };
        },
    });

/** As the reference has it: a DELETE with a body. */
export const deleteEnvironmentKeyByBody = (services: Services) => {
    const Body = z
        .strictObject({ environment_id: EnvironmentId.optional(), key_id: PublicIdInBody })
        .meta({ examples: [{ environment_id: 2, key_id: 7 }] });
    const AccountKeyBody = z.strictObject({ environment_id: EnvironmentId, key_id: PublicIdInBody });
    return endpoint({
        method: 'DELETE',
        paths: ['/environment/api-keys'],
        tag: 'API keys',
        operationId: 'deleteEnvironmentApiKeyByBody',
        summary: 'Delete an API key of an environment, named in the body',
        description: deletion,
        authenticate: apiKey(services),
        access: ['environment:api_keys:write', 'account:environments:api_keys:delete'],
        answers: { 200: Deleted },
        errors: deletionErrors,
        body: Body,
        bodyFor: (_raw, principal) => (isAccountKey(principal) ? AccountKeyBody : Body),
        noStore: true,
        async handle({ body, principal }) {
            const environment = await namedEnvironment(services, principal, body.environment_id, 'invalid_body');
            await deleteKey(managementBy(services, principal), environment, body.key_id);
            return { success: true };
        },
    });
};
