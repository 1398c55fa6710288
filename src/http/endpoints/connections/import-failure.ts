/** How a failed import is answered (http-api §8.3). */
import { ConnectFailure } from '../../../auth-modes/auth-mode.ts';
import { ImportRefused } from '../../../connect/import-connection.ts';
import { TokenFailure } from '../../../credentials/token-failure.ts';
import { ApiError, connectStatus } from '../../errors.ts';
import type { Services } from '../../services.ts';

/** Deleted while the provider was asked. */
const goneMeanwhile: ReadonlySet<string> = new Set(['unknown_provider_config', 'account_or_environment_retrieval_err']);

/**
 * @param noIntegration what the endpoint answers when there is none
 * @returns the answer. What nobody expected, such as a storage that fails, says nothing of itself (E5).
 */
export function importFailure({ logger }: Services, error: unknown, noIntegration: () => ApiError): ApiError {
    if (error instanceof ApiError) {
        return error;
    }
    if (error instanceof ImportRefused) {
        return ApiError.invalid(
            'invalid_body',
            error.issues.map(({ code, path, message }) => ({ code, path, message })),
        );
    }
    if (error instanceof ConnectFailure && goneMeanwhile.has(error.type)) {
        return noIntegration();
    }
    if (error instanceof ConnectFailure) {
        return ApiError.simple(connectStatus[error.type] ?? 400, error.type === 'url_param_err' ? 'invalid_body' : error.type, error.message);
    }
    if (error instanceof TokenFailure) {
        return ApiError.simple(500, 'server_error', `The provider gave no token for this installation: ${error.message}`);
    }
    logger.error({ err: error }, 'a connection could not be imported');
    return ApiError.simple(500, 'server_error', 'The connection could not be stored; the log of Valetkey has the details.');
}
