/** OAuth clients of integrations whose provider registers them by itself: before the integration exists, and gone again if it never does. */
import { ConnectFailure, type IntegrationPlan } from '../../../auth-modes/auth-mode.ts';
import { authModes } from '../../../auth-modes/index.ts';
import type { ClientRegistration } from '../../../auth-modes/mcp/client-registration.ts';
import { RegistrationFailure } from '../../../auth-modes/mcp/dynamic-registration.ts';
import type { Provider } from '../../../providers/provider.ts';
import type { Db } from '../../../store/database.ts';
import * as environments from '../../../store/environments.ts';
import type { IntegrationRow } from '../../../store/schema.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { invalidBody } from './integration-body.ts';

/** Whether an integration that is given no client needs to be prepared. */
export const isPrepared = (provider: Provider): boolean => authModes.get(provider.authMode)?.prepareIntegration !== undefined;

export interface Plan extends Pick<IntegrationPlan, 'provider' | 'environmentId' | 'uniqueKey' | 'custom'> {
    /** Of the environment, where it is about to be changed; `null`: the server's own. */
    callbackUrl?: string | null | undefined;
}

/** @throws ApiError */
export async function prepareClient(services: Services, { callbackUrl, ...plan }: Plan): Promise<ClientRegistration | undefined> {
    const stored = callbackUrl === undefined ? await environments.findById(services.database.db, plan.environmentId) : undefined;
    const redirectUri = (callbackUrl === undefined ? stored?.callback_url : callbackUrl) || `${services.config.publicUrl}/oauth/callback`;
    try {
        return await authModes.get(plan.provider.authMode)?.prepareIntegration?.({ ...plan, redirectUri, clients: services.clients });
    } catch (error) {
        throw error instanceof ConnectFailure ? asApiError(plan.provider, error) : error;
    }
}

function asApiError(provider: Provider, failure: ConnectFailure): ApiError {
    if (!(failure instanceof RegistrationFailure)) {
        return invalidBody(failure.message);
    }
    const message = `No OAuth client could be registered at ${provider.displayName}, so nothing was created. ${failure.message}`;
    return failure.isOutage
        ? ApiError.simple(503, 'client_registration_unavailable', message)
        : ApiError.simple(400, 'client_registration_failed', message);
}

/** In one transaction with the integration that it is for. */
export async function keepClient(services: Services, db: Db, row: IntegrationRow, registration: ClientRegistration | undefined): Promise<void> {
    if (registration !== undefined) {
        await services.clients.keep(db, { id: row.id, environmentId: row.environment_id }, registration);
    }
}
