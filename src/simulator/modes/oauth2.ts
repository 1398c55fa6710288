/** OAUTH2: consent page, token endpoint, and the API behind the token. */
import { authorizeEndpoint } from '../authorize.ts';
import type { Entry } from '../entry.ts';
import { tokenEndpoints } from '../token-endpoint.ts';
import type { Endpoint } from '../twin.ts';

export function oauth2(entry: Entry): Endpoint[] {
    return [
        ...(entry.authorization_url === undefined ? [] : [authorizeEndpoint(entry.authorization_url)]),
        ...(typeof entry.token_url === 'string' ? tokenEndpoints(entry, entry.token_url) : []),
    ];
}
