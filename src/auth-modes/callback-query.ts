/** What a provider sends back with the browser, apart from its proof: a refusal in its own words. */
import { safeText } from '../credentials/token-failure.ts';
import { ConnectFailure } from './auth-mode.ts';

/** In the order they are shown (http-api §11.4). */
const errorKeys = ['error', 'error_description', 'error_reason', 'error_uri', 'status_code', 'error_message'];

/** @returns the value of a parameter that the callback must have. @throws ConnectFailure `callback_err`, with what the provider says instead */
export function requiredParam(query: Readonly<Record<string, unknown>>, name: string, what: string): string {
    const value = query[name];
    if (typeof value === 'string' && value !== '') {
        return value;
    }
    const said = errorKeys.flatMap((key) => {
        const text = query[key];
        return typeof text === 'string' && text.trim() !== '' ? [`${key}: ${safeText(text, [])}`] : [];
    });
    throw new ConnectFailure(
        'callback_err',
        said.length > 0 ? `The provider did not grant access (${said.join(', ')}).` : `The provider sent no ${what}.`,
    );
}
