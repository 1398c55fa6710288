/** Pages that an integration's operator has set, to which a browser is sent with a state: of an app, or of a plugin. */
import { ConnectFailure, type RedirectStart } from './auth-mode.ts';
import { assertSettable } from './authorization-url.ts';

/**
 * The operator's own link, so any https address will do, with a port too; plain http where the operator has opened the host.
 * @param setting what it is called, for a person
 * @param path appended to it
 * @param stateParam what the provider calls the state
 * @throws ConnectFailure `provider_config_err`, `url_param_err`
 */
export function appPage(
    input: RedirectStart,
    { link, setting, path = '', stateParam }: { link: string | undefined; setting: string; path?: string; stateParam: string },
): string {
    assertSettable(input.clientAuthorizationParams, 'browser');
    assertSettable(input.sessionAuthorizationParams ?? {}, 'session');
    const url = link !== undefined && URL.canParse(link) ? new URL(link) : undefined;
    const isWeb = url?.protocol === 'https:' || (url?.protocol === 'http:' && input.egress.isOpened(url.hostname));
    if (url === undefined || !isWeb || url.username !== '' || url.password !== '') {
        throw new ConnectFailure('provider_config_err', `The integration has no usable link yet (${setting}, an https URL).`);
    }
    if (path !== '') {
        url.pathname = url.pathname.replace(/\/+$/, '') + path;
    }
    for (const [name, value] of Object.entries(input.sessionAuthorizationParams ?? input.clientAuthorizationParams)) {
        url.searchParams.set(name, value);
    }
    url.searchParams.set(stateParam, input.state);
    return url.href;
}
