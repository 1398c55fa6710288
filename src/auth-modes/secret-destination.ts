/**
 * N2: where the host of a token endpoint is chosen by the connection, a well-formed value is not enough: it decides who
 * receives the integration's client secret. Such hosts must be on a list, the integration's or the catalogue's.
 */
import type { UrlTemplate } from '../providers/url-template.ts';
import { ConnectFailure, type ModeContext } from './auth-mode.ts';

/** @throws ConnectFailure `url_param_err` */
export function assertSecretMayGoTo(url: URL, template: UrlTemplate, context: Pick<ModeContext, 'provider' | 'integration'>): void {
    if (!template.hostIsChosenByConnection) {
        return;
    }
    // `A || B`: the fallback's host is the catalogue's own.
    const literalHosts = template.source.split(' || ').flatMap((alternative) => /^https?:\/\/([^/?#$]+)(?=[/?#]|$)/.exec(alternative)?.[1] ?? []);
    if (literalHosts.includes(url.host)) {
        return;
    }
    const listed = context.integration.allowedHosts ?? context.provider.entry.allowed_hosts;
    if (listed === undefined ? !context.integration.isProduction : listed.some((entry) => isListedHost(url, entry))) {
        return;
    }
    throw new ConnectFailure(
        'url_param_err',
        `The host of this ${context.provider.displayName} account is not on the integration's list of allowed hosts (allowed_hosts), so its client secret is not sent there.`,
    );
}

/** `.example.com` stands for every host below it, anything else for itself; with `:8443`, on that port only. */
export function isListedHost(url: URL, entry: string): boolean {
    const [name = '', port] = entry.toLowerCase().split(':');
    const isNamed = name.startsWith('.') ? url.hostname.endsWith(name) : url.hostname === name;
    return isNamed && (port === undefined || port === (url.port || (url.protocol === 'https:' ? '443' : '80')));
}
