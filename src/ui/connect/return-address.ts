/** Where a connect link sends its user in the end (§7.12). The server has judged the address; the backend learns the truth by webhook. Pure. */
import type { Connected } from './api-types.ts';

export function returnAddress(returnUrl: string | undefined, { connectionId, providerConfigKey, isPending }: Connected): string | undefined {
    if (returnUrl === undefined || !URL.canParse(returnUrl)) return undefined;
    const url = new URL(returnUrl);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined;
    url.searchParams.set('status', isPending ? 'pending' : 'success');
    url.searchParams.set('connection_id', connectionId);
    url.searchParams.set('provider_config_key', providerConfigKey);
    return url.href;
}

/** @param returnTo as the server has it, unless it is about another attempt of this session, in another tab */
export const signedReturn = (returnTo: string | undefined, { connectionId }: Connected): string | undefined =>
    returnTo !== undefined && URL.canParse(returnTo) && new URL(returnTo).searchParams.get('connection_id') === connectionId ? returnTo : undefined;
