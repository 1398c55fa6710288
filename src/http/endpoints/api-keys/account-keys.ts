/** /account/api-keys: the keys that manage environments (webhooks §4.2). As the keys of an environment, with the scopes of the account. */
import { z } from 'zod';
import { createKey, deleteKey, rotateKey, updateKey } from '../../../environments/api-keys.ts';
import * as apiKeys from '../../../store/api-keys.ts';
import { apiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { PublicIdInBody } from '../../field-types.ts';
import { grantableToAccountKeys } from '../../grantable-scopes.ts';
import type { Services } from '../../services.ts';
import { keyChange, keyFields, KeyParams, RotateBody, UpdateBody, wantedKey } from './key-fields.ts';
import { changeErrors, creationErrors, deletionErrors, managementBy, rotationErrors } from './key-management.ts';
import { Deleted, KeyAnswer, KeysAnswer, keyView, NewKeyAnswer, newKeyView, RotatedKeyAnswer, rotatedKeyView } from './key-view.ts';

const limits =
    'A key grants only scopes that it holds itself (403 `forbidden`), and the last one with `account:*` stays (409 `last_full_access_key`).';

export const listAccountKeys = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/account/api-keys'],
        tag: 'API keys',
        summary: 'List the API keys of the account',
        description: 'The keys themselves are never shown again.',
        authenticate: apiKey(services),
        access: ['account:api_keys:read'],
        answers: { 200: KeysAnswer },
        async handle() {
            return { data: (await apiKeys.list(services.database.db, null, new Date(services.sources.now()))).map(keyView) };
        },
    });

export const createAccountKey = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/account/api-keys'],
        tag: 'API keys',
        summary: 'Create an API key of the account',
        description: `${limits} There can be 50 (400 \`resource_capped\`).`,
        authenticate: apiKey(services),
        access: ['account:api_keys:write'],
        answers: { 200: NewKeyAnswer },
        errors: creationErrors,
        body: z.strictObject(keyFields(services.sources, grantableToAccountKeys).create),
        noStore: true,
        async handle({ body, principal }) {
            return { data: newKeyView(await createKey(managementBy(services, principal), null, wantedKey(body, services.sources))) };
        },
    });

export const updateAccountKey = (services: Services) =>
    endpoint({
        method: 'PATCH',
        paths: ['/account/api-keys/:keyId'],
        tag: 'API keys',
        summary: 'Change an API key of the account',
        description: limits,
        authenticate: apiKey(services),
        access: ['account:api_keys:write'],
        answers: { 200: KeyAnswer },
        errors: changeErrors,
        params: KeyParams,
        body: UpdateBody(services.sources, grantableToAccountKeys),
        noStore: true,
        async handle({ params, body, principal }) {
            return { data: keyView(await updateKey(managementBy(services, principal), null, params.keyId, keyChange(body))) };
        },
    });

export const rotateAccountKey = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/account/api-keys/:keyId/rotate'],
        tag: 'API keys',
        operationId: 'rotateAccountApiKey',
        summary: 'Replace an API key of the account by a successor',
        description:
            'The successor has the name, scopes, addresses and expiry of its predecessor, which keeps working until the overlap ends. The caller needs every ' +
            'scope of the key (403 `forbidden`).',
        authenticate: apiKey(services),
        access: ['account:api_keys:write'],
        answers: { 200: RotatedKeyAnswer },
        errors: rotationErrors,
        params: KeyParams,
        body: RotateBody,
        noStore: true,
        async handle({ params, body, principal }) {
            return { data: rotatedKeyView(await rotateKey(managementBy(services, principal), null, params.keyId, body.overlap_seconds)) };
        },
    });

export const deleteAccountKey = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/account/api-keys/:keyId'],
        tag: 'API keys',
        summary: 'Delete an API key of the account',
        description: limits,
        authenticate: apiKey(services),
        access: ['account:api_keys:write'],
        answers: { 200: Deleted },
        errors: deletionErrors,
        params: KeyParams,
        noStore: true,
        async handle({ params, principal }) {
            await deleteKey(managementBy(services, principal), null, params.keyId);
            return { success: true };
        },
    });

/** As with the keys of an environment. */
export const deleteAccountKeyByBody = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/account/api-keys'],
        tag: 'API keys',
        operationId: 'deleteAccountApiKeyByBody',
        summary: 'Delete an API key of the account, named in the body',
        description: limits,
        authenticate: apiKey(services),
        access: ['account:api_keys:write'],
        answers: { 200: Deleted },
        errors: deletionErrors,
        body: z.strictObject({ key_id: PublicIdInBody }),
        noStore: true,
        async handle({ body, principal }) {
            await deleteKey(managementBy(services, principal), null, body.key_id);
            return { success: true };
        },
    });
