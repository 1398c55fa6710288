/** Connect sessions (http-api §4): issued to a backend, used by a browser. */
import { z } from 'zod';
import { createSession, sessionDefaults, type IntegrationDefaults } from '../../../connect/connect-session.ts';
import { mergeTags } from '../../../connect/tags.ts';
import * as connections from '../../../store/connections.ts';
import * as integrations from '../../../store/integrations.ts';
import type { ConnectionRow, EndUser as StoredEndUser } from '../../../store/schema.ts';
import { apiKey, connectSession } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError, type Issue } from '../../errors.ts';
import { ConnectionId, EndUser, IntegrationKey, Organization, Tags, webhookUrl } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { assertWebhookUrl } from '../../webhook-url-policy.ts';

const access = ['environment:connect_sessions:write'] as const;

const schemas = (services: Services) => {
    const WebhookUrl = webhookUrl((text) => assertWebhookUrl(services, text));
    const shared = {
        organization: Organization.optional(),
        integrations_config_defaults: z
            .record(
                IntegrationKey,
                z.strictObject({
                    user_scopes: z.string().optional(),
                    authorization_params: z.record(z.string(), z.string()).optional(),
                    // webhook_url: deprecated in favour of webhook_url_override, and moved there
                    connection_config: z.looseObject({ oauth_scopes_override: z.string().optional(), webhook_url: WebhookUrl.optional() }).optional(),
                }),
            )
            .optional(),
        overrides: z.record(IntegrationKey, z.object({ docs_connect: z.string().optional() })).optional(),
        webhook_url_override: WebhookUrl.optional(),
    };
    const allowed = { allowed_integrations: z.array(IntegrationKey).optional() };
    return {
        forEndUser: z.strictObject({ ...shared, ...allowed, end_user: EndUser, tags: Tags.optional() }),
        forTags: z.strictObject({ ...shared, ...allowed, end_user: EndUser.optional(), tags: Tags }),
        forReconnect: z.strictObject({
            connection_id: ConnectionId,
            integration_id: IntegrationKey,
            ...shared,
            end_user: EndUser.optional(),
            tags: Tags.optional(),
        }),
    };
};

type SessionBody = z.output<ReturnType<typeof schemas>['forTags']> | z.output<ReturnType<typeof schemas>['forEndUser']>;
type SharedBody = Omit<SessionBody, 'allowed_integrations' | 'tags'> & { tags?: Record<string, string> | undefined };

export const createConnectSession = (services: Services) => {
    const { forEndUser, forTags } = schemas(services);
    return endpoint({
        method: 'POST',
        creates: true,
        paths: ['/connect/sessions'],
        tag: 'Connect sessions',
        summary: 'Issue a connect session for an end user',
        authenticate: apiKey(services),
        access,
        body: forEndUser,
        // Tags may stand in for an end user (http-api §4.1 no. 2).
        otherBodies: [forTags],
        bodyFor: (raw) => (isObject(raw) && 'tags' in raw && !('end_user' in raw) ? forTags : forEndUser),
        noStore: true,
        async handle({ body, principal, reply }) {
            const environmentId = principal.environment!.id;
            await assertIntegrationsExist(services, environmentId, body, body.allowed_integrations ?? []);
            const session = await createSession(services.connect, {
                environmentId,
                allowedIntegrations: body.allowed_integrations ?? null,
                ...settingsOf(body),
                tags: tagsOf(body) ?? {},
                connectionRowId: null,
            });
            return reply.code(201).send({ data: issued(session) });
        },
    });
};

export const createReconnectSession = (services: Services) =>
    endpoint({
        method: 'POST',
        creates: true,
        paths: ['/connect/sessions/reconnect'],
        tag: 'Connect sessions',
        summary: 'Issue a connect session that renews an existing connection',
        authenticate: apiKey(services),
        access,
        body: schemas(services).forReconnect,
        noStore: true,
        async handle({ body, principal, reply }) {
            const environmentId = principal.environment!.id;
            const connection = await findConnection(services, environmentId, body.integration_id, body.connection_id);
            await assertIntegrationsExist(services, environmentId, body, []);
            const session = await createSession(services.connect, {
                environmentId,
                allowedIntegrations: [body.integration_id],
                ...settingsOf(body),
                tags: tagsOf(body) ?? null,
                connectionRowId: connection.id,
            });
            return reply.code(201).send({ data: issued(session) });
        },
    });

export const readConnectSession = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/connect/session'],
        tag: 'Connect sessions',
        summary: 'What a connect session allows, and what became of its last attempt',
        authenticate: connectSession(services),
        access: 'connect session',
        noStore: true,
        async handle({ principal }) {
            const session = principal.session!;
            const defaults = await sessionDefaults(services.connect, session);
            const renewed = session.connection_id === null ? undefined : await connections.findById(services.database.db, session.connection_id);
            return {
                data: {
                    endUser: renewed?.end_user ?? session.end_user,
                    connectUISettings: {
                        showWatermark: false,
                        defaultTheme: 'system',
                        theme: { light: { primary: '#1f5eff' }, dark: { primary: '#7aa2ff' } },
                    },
                    ...(session.allowed_integrations === null ? {} : { allowed_integrations: session.allowed_integrations }),
                    ...(session.sealed_defaults === null ? {} : { integrations_config_defaults: publicDefaults(defaults) }),
                    ...(session.connection_id === null ? {} : { isReconnecting: true }),
                    ...(session.overrides === null ? {} : { overrides: session.overrides }),
                    websocketsPath: '/',
                    // additive: how the last attempt ended, for pages whose popup is gone
                    outcome: session.outcome,
                },
            };
        },
    });

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function settingsOf(body: SharedBody) {
    const defaults: Record<string, IntegrationDefaults> = {};
    let nestedWebhookUrl: string | undefined;
    for (const [key, { connection_config, ...rest }] of Object.entries(body.integrations_config_defaults ?? {})) {
        const { webhook_url, ...config } = connection_config ?? {};
        nestedWebhookUrl ??= webhook_url || undefined;
        defaults[key] = { ...rest, ...(Object.keys(config).length > 0 ? { connection_config: config } : {}) };
    }
    return {
        defaults: body.integrations_config_defaults === undefined ? null : defaults,
        overrides: body.overrides ?? null,
        endUser: endUserOf(body),
        webhookUrlOverride: body.webhook_url_override ?? nestedWebhookUrl ?? null,
    };
}

const organizationOf = ({ organization }: SharedBody): StoredEndUser['organization'] =>
    organization === undefined ? null : { id: organization.id, display_name: organization.display_name ?? null };

function endUserOf(body: SharedBody): StoredEndUser | null {
    const endUser = body.end_user;
    const organization = organizationOf(body);
    return endUser === undefined
        ? null
        : { id: endUser.id, email: endUser.email ?? null, display_name: endUser.display_name ?? null, tags: endUser.tags ?? null, organization };
}

/** `undefined`: the request says nothing about tags. @throws ApiError when generated and explicit tags are more than ten together. */
function tagsOf(body: SharedBody): Record<string, string> | undefined {
    const endUser = endUserOf(body);
    if (endUser === null && body.tags === undefined) {
        return undefined;
    }
    const merged = mergeTags({ endUser, organization: organizationOf(body), explicit: body.tags });
    if (merged === undefined) {
        throw ApiError.invalid('invalid_body', [
            { code: 'custom', message: 'More than 10 tags, together with those generated from the end user', path: ['tags'] },
        ]);
    }
    return merged;
}

/** All misses are reported together, in the order of the contract (§4.1 no. 4). */
async function assertIntegrationsExist(services: Services, environmentId: string, body: SharedBody, allowed: readonly string[]): Promise<void> {
    const defaults = Object.keys(body.integrations_config_defaults ?? {});
    const overrides = Object.keys(body.overrides ?? {});
    const known = await integrations.existingKeys(services.database.db, environmentId, [...new Set([...allowed, ...defaults, ...overrides])]);
    const miss = (...path: string[]): Issue => ({ code: 'custom', message: 'There is no such integration', path });
    const issues = [
        ...allowed.flatMap((key, index) => (known.has(key) ? [] : [miss('allowed_integrations', String(index))])),
        ...defaults.flatMap((key) => (known.has(key) ? [] : [miss('integrations_config_defaults', key)])),
        ...overrides.flatMap((key) => (known.has(key) ? [] : [miss('overrides', key)])),
    ];
    if (issues.length > 0) {
        throw ApiError.invalid('invalid_body', issues);
    }
}

async function findConnection(services: Services, environmentId: string, integrationKey: string, connectionId: string): Promise<ConnectionRow> {
    const { db } = services.database;
    const integration = await integrations.findByKey(db, environmentId, integrationKey);
    const connection = integration && (await connections.findByKey(db, integration.id, connectionId));
    if (connection === undefined) {
        throw ApiError.simple(400, 'invalid_body', 'There is no connection with this connection_id and integration_id.');
    }
    return connection;
}

/** What the browser may see of the presets: names and emptiness, not what looks like a secret (frontend contract §7.18). */
function publicDefaults(defaults: Record<string, IntegrationDefaults>): Record<string, unknown> {
    return Object.fromEntries(
        Object.entries(defaults).map(([key, { connection_config, authorization_params }]) => [
            key,
            {
                ...(connection_config === undefined ? {} : { connection_config: masked(connection_config) }),
                ...(authorization_params === undefined ? {} : { authorization_params }),
            },
        ]),
    );
}

const masked = (config: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(
        Object.entries(config).map(([name, value]) => [name, value !== '' && /secret|password|token|key/i.test(name) ? '********' : value]),
    );

const issued = (session: { token: string; connectLink: string; expiresAt: Date }) => ({
    token: session.token,
    connect_link: session.connectLink,
    expires_at: session.expiresAt.toISOString(),
});
