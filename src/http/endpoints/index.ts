/** Every endpoint there is: a folder per resource, a file per endpoint or a few that belong together. */
import type { Endpoint } from '../endpoint.ts';
import type { Services } from '../services.ts';
import { logo } from './catalogue/logo.ts';
import { providerEndpoints } from './catalogue/providers.ts';
import { createReconnectSession } from './connect-sessions/create-reconnect-session.ts';
import { createConnectSession } from './connect-sessions/create-session.ts';
import { deleteConnectSession } from './connect-sessions/delete-session.ts';
import { readConnectSession } from './connect-sessions/read-session.ts';
import { connectTelemetry } from './connect-sessions/telemetry.ts';
import { deleteConnection } from './connections/delete-connection.ts';
import { importConnectionUntyped } from './connections/import-connection-untyped.ts';
import { importConnection } from './connections/import-connection.ts';
import { listConnections } from './connections/list-connections.ts';
import { mergeMetadata, mergeMetadataOfOne, replaceMetadata, replaceMetadataOfOne } from './connections/metadata.ts';
import { readConnection } from './connections/read-connection.ts';
import { updateConnection } from './connections/update-connection.ts';
import { dashboardSettings } from './dashboard/dashboard-settings.ts';
import { connectWithApiKey, connectWithBasic, connectWithoutCredentials } from './direct-auth/direct-auth.ts';
import { readEnvironment, updateEnvironment } from './environment/environment.ts';
import { readSigningKey, readWebhookSettings, updateWebhookSettings } from './environment/webhooks.ts';
import { createIntegration } from './integrations/create-integration.ts';
import { deleteIntegration } from './integrations/delete-integration.ts';
import { listIntegrations } from './integrations/list-integrations.ts';
import { quickstartIntegration } from './integrations/quickstart-integration.ts';
import { readConfig } from './integrations/read-config.ts';
import { readIntegration } from './integrations/read-integration.ts';
import { updateIntegration } from './integrations/update-integration.ts';
import { health, ready, root } from './probes/health.ts';
import { oauthCallback } from './redirect-flow/oauth-callback.ts';
import { oauthConnect } from './redirect-flow/oauth-connect.ts';
import { createOauthFlow } from './redirect-flow/oauth-flows.ts';

/** What a process without the API answers. */
export const probesOf = (services: Services): Endpoint[] => [root(), health(), ready(services)];

/** Every endpoint there is. */
export const endpointsOf = (services: Services): Endpoint[] => [
    ...probesOf(services),
    ...providerEndpoints(services),
    logo(services),
    dashboardSettings(services),
    listIntegrations(services),
    createIntegration(services),
    quickstartIntegration(services),
    readIntegration(services),
    updateIntegration(services),
    deleteIntegration(services),
    readConfig(services),
    createConnectSession(services),
    createReconnectSession(services),
    readConnectSession(services),
    deleteConnectSession(services),
    connectTelemetry(services),
    createOauthFlow(services),
    oauthConnect(services),
    oauthCallback(services),
    connectWithApiKey(services),
    connectWithBasic(services),
    connectWithoutCredentials(services),
    listConnections(services),
    readConnection(services),
    updateConnection(services),
    deleteConnection(services),
    replaceMetadata(services),
    mergeMetadata(services),
    replaceMetadataOfOne(services),
    mergeMetadataOfOne(services),
    importConnection(services),
    importConnectionUntyped(services),
    readEnvironment(services),
    updateEnvironment(services),
    readWebhookSettings(services),
    updateWebhookSettings(services),
    readSigningKey(services),
];
