/** Every endpoint there is: a folder per resource, a file per endpoint or a few that belong together. */
import type { Endpoint } from '../endpoint.ts';
import type { Services } from '../services.ts';
import {
    createAccountKey,
    deleteAccountKey,
    deleteAccountKeyByBody,
    listAccountKeys,
    rotateAccountKey,
    updateAccountKey,
} from './api-keys/account-keys.ts';
import {
    createEnvironmentKey,
    deleteEnvironmentKey,
    deleteEnvironmentKeyByBody,
    listEnvironmentKeys,
    rotateEnvironmentKey,
    updateEnvironmentKey,
} from './api-keys/environment-keys.ts';
import { logo } from './catalogue/logo.ts';
import { providerEndpoints } from './catalogue/providers.ts';
import { createReconnectSession } from './connect-sessions/create-reconnect-session.ts';
import { createConnectSession } from './connect-sessions/create-session.ts';
import { deleteConnectSession } from './connect-sessions/delete-session.ts';
import { connectUiEndpoints } from './connect-ui/connect-ui.ts';
import { readConnectFlow } from './connect-sessions/read-flow.ts';
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
import { connectWithAwsRole } from './direct-auth/connect-with-aws-role.ts';
import { connectWithBill } from './direct-auth/connect-with-bill.ts';
import { connectWithClient } from './direct-auth/connect-with-client.ts';
import { connectWithTba } from './direct-auth/connect-with-tba.ts';
import { connectWithApiKey, connectWithBasic, connectWithoutCredentials } from './direct-auth/direct-auth.ts';
import { connectOutbound } from './direct-auth/outbound.ts';
import { connectWithTwoStep } from './direct-auth/two-step.ts';
import { connectWithJwt, connectWithSignature } from './direct-auth/signed-here.ts';
import { createEnvironment, deleteEnvironment, listEnvironments } from './environments/environments.ts';
import { checkCallbackUrl } from './environment/check-callback-url.ts';
import { readConnectUi } from './environment/read-connect-ui.ts';
import { readEnvironment } from './environment/read-environment.ts';
import { replaceConnectUi } from './environment/replace-connect-ui.ts';
import { replaceVariables } from './environment/replace-variables.ts';
import { setProduction } from './environment/set-production.ts';
import { updateEnvironment } from './environment/update-environment.ts';
import { readVariables } from './environment/read-variables.ts';
import { readWebhookSettings } from './environment/read-webhook-settings.ts';
import { updateWebhookSettings } from './environment/update-webhook-settings.ts';
import { applyConfig } from './environment-config/apply-config.ts';
import { exportConfig } from './environment-config/export-config.ts';
import { documentation } from './documentation/documentation.ts';
import { createIntegration } from './integrations/create-integration.ts';
import { deleteIntegration } from './integrations/delete-integration.ts';
import { listIntegrations } from './integrations/list-integrations.ts';
import { quickstartIntegration } from './integrations/quickstart-integration.ts';
import { readConfig } from './integrations/read-config.ts';
import { readIntegration } from './integrations/read-integration.ts';
import { updateIntegration } from './integrations/update-integration.ts';
import { listMessages, listOperations, readOperation } from './logs/operations.ts';
import { streamOperations } from './logs/stream-operations.ts';
import { healthDetails } from './probes/health-details.ts';
import { health, ready, root } from './probes/health.ts';
import { receiveInstallation } from './provider-webhooks/receive-installation.ts';
import { appAuthConnect } from './redirect-flow/app-auth-connect.ts';
import { oauthCallback } from './redirect-flow/oauth-callback.ts';
import { oauthConnect } from './redirect-flow/oauth-connect.ts';
import { readClientMetadata } from './redirect-flow/client-metadata.ts';
import { createOauthFlow } from './redirect-flow/oauth-flows.ts';
import { listSigningKeys } from './signing-keys/list-signing-keys.ts';
import { promoteSigningKey } from './signing-keys/promote-signing-key.ts';
import { readSigningKey } from './signing-keys/read-signing-key.ts';
import { revokeSigningKey } from './signing-keys/revoke-signing-key.ts';
import { rotateSigningKey } from './signing-keys/rotate-signing-key.ts';
import { listDeliveries } from './webhooks/list-deliveries.ts';
import { listEvents } from './webhooks/list-events.ts';
import { readDelivery } from './webhooks/read-delivery.ts';
import { listWebhookEndpoints, readWebhookEndpoint } from './webhooks/read-endpoints.ts';
import { redeliverMany, redeliverOne } from './webhooks/redeliver.ts';
import { sendTest } from './webhooks/send-test.ts';
import { createWebhookEndpoint, deleteWebhookEndpoint, enableWebhookEndpoint, updateWebhookEndpoint } from './webhooks/write-endpoints.ts';

/** What a process without the API answers. */
export const probesOf = (services: Services): Endpoint[] => [root(), health(), ready(services)];

/** Every endpoint there is. */
export const endpointsOf = (services: Services): Endpoint[] => [
    ...probesOf(services),
    healthDetails(services),
    listOperations(services),
    readOperation(services),
    listMessages(services),
    streamOperations(services),
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
    readConnectFlow(services),
    connectTelemetry(services),
    ...connectUiEndpoints(services),
    createOauthFlow(services),
    oauthConnect(services),
    oauthCallback(services),
    appAuthConnect(services),
    readClientMetadata(services),
    connectWithApiKey(services),
    connectWithBasic(services),
    connectWithoutCredentials(services),
    connectOutbound(services),
    receiveInstallation(services),
    connectWithTwoStep(services),
    connectWithTba(services),
    connectWithJwt(services),
    connectWithSignature(services),
    connectWithBill(services),
    connectWithAwsRole(services),
    connectWithClient(services),
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
    checkCallbackUrl(services),
    readConnectUi(services),
    replaceConnectUi(services),
    readVariables(services),
    replaceVariables(services),
    exportConfig(services),
    applyConfig(services),
    readWebhookSettings(services),
    updateWebhookSettings(services),
    listWebhookEndpoints(services),
    createWebhookEndpoint(services),
    readWebhookEndpoint(services),
    updateWebhookEndpoint(services),
    deleteWebhookEndpoint(services),
    enableWebhookEndpoint(services),
    sendTest(services),
    listDeliveries(services),
    readDelivery(services),
    redeliverOne(services),
    redeliverMany(services),
    listEvents(services),
    readSigningKey(services),
    listSigningKeys(services),
    rotateSigningKey(services),
    promoteSigningKey(services),
    revokeSigningKey(services),
    listEnvironments(services),
    createEnvironment(services),
    setProduction(services),
    deleteEnvironment(services),
    listEnvironmentKeys(services),
    createEnvironmentKey(services),
    updateEnvironmentKey(services),
    rotateEnvironmentKey(services),
    deleteEnvironmentKey(services),
    deleteEnvironmentKeyByBody(services),
    listAccountKeys(services),
    createAccountKey(services),
    updateAccountKey(services),
    rotateAccountKey(services),
    deleteAccountKey(services),
    deleteAccountKeyByBody(services),
    ...documentation(services, () => endpointsOf(services)),
];
