/** What changes of settings are answered with when they are not made. */
import { SettingsRefusal } from '../../../environments/settings.ts';
import { ApiError } from '../../errors.ts';

/** For `catch`: the API's answer to a refusal, everything else as it is. */
export const asApiError = (error: unknown): unknown =>
    error instanceof SettingsRefusal ? ApiError.simple(error.code === 'conflict' ? 409 : 400, error.code, error.message) : error;

/** Deleted since the key was looked up. */
export const environmentGone = (): ApiError => ApiError.simple(404, 'not_found', 'This environment was deleted.');
