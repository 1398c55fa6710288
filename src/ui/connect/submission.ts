/** What a filled-in form becomes: a call, or an address to open (frontend contract §1.5, §1.6, §3.4). */
import type { Provider } from './api-types.ts';
import type { Field, Group } from './fields.ts';
import { ownAppCredentials, wayOf } from './modes.ts';
import { normalised } from './validation.ts';

export type Values = Readonly<Record<string, string>>;

export type Submission =
    /** A POST; without `body` it has none. */
    | { readonly kind: 'call'; readonly path: string; readonly body: Readonly<Record<string, unknown>> | undefined }
    /** A window at this address. */
    | { readonly kind: 'window'; readonly path: string }
    /** Secrets that must not be in an address: a POST that answers one (`POST /oauth/flows`). */
    | { readonly kind: 'prepared'; readonly body: Readonly<Record<string, unknown>> };

export interface Filled {
    readonly provider: Provider;
    readonly integrationKey: string;
    readonly fields: readonly Field[];
    readonly values: Values;
    readonly sessionToken: string;
    /** For the windows, chosen by the page so that it can ask how they ended (§7.3). */
    readonly flowId: string;
    /** Parameters that no field asks for. */
    readonly extraParams?: Values;
    /** After the provider, come back to this page in the same tab. */
    readonly returnsToPage?: boolean;
}

/** `undefined`: this page does not know the mode. */
export function submissionOf(filled: Filled): Submission | undefined {
    const { provider, integrationKey, sessionToken, flowId, returnsToPage = false, extraParams = {} } = filled;
    const way = wayOf(provider);
    if (way === undefined) return undefined;
    const credentials = valuesOf(filled, 'credentials');
    const params = { ...valuesOf(filled, 'params'), ...extraParams };
    const key = encodeURIComponent(integrationKey);
    const token = ['connect_session_token', sessionToken] as const;
    const configuration = Object.entries(params).map(([name, value]) => [`params[${name}]`, value] as const);
    if (way.kind === 'call') {
        return { kind: 'call', path: `${way.path}/${key}?${query([token, ...configuration])}`, body: bodyOf(filled, credentials) };
    }
    const ownApp = Object.fromEntries(Object.entries(credentials).filter(([name]) => (ownAppCredentials as readonly string[]).includes(name)));
    if (Object.keys(ownApp).length > 0) {
        return { kind: 'prepared', body: { provider_config_key: integrationKey, params, credentials: ownApp, flow_id: flowId } };
    }
    const flow = [['flow_id', flowId] as const, ...(returnsToPage ? [['return_to', 'page'] as const] : [])];
    return { kind: 'window', path: `oauth/connect/${key}?${query([token, ...flow, ...configuration])}` };
}

function bodyOf(filled: Filled, credentials: Values): Record<string, unknown> | undefined {
    const { provider } = filled;
    const assertion = valuesOf(filled, 'assertion_option');
    switch (provider.auth_mode) {
        case 'NONE':
        case 'OAUTH2':
            return undefined;
        case 'JWT':
        case 'SIGNATURE':
            return { ...credentials, type: provider.auth_mode };
        case 'TWO_STEP':
            return { ...credentials, type: 'TWO_STEP', ...(Object.keys(assertion).length === 0 ? {} : { assertionOption: assertion }) };
        default:
            return { ...credentials };
    }
}

/** An empty answer is left out, unless the entry means one by its default (§7.26). What the server withheld it has. */
function valuesOf({ fields, values }: Filled, group: Group): Record<string, string> {
    return Object.fromEntries(
        fields
            .filter((field) => field.group === group && !field.isWithheld)
            .map((field) => [field, normalised(field, values[field.id] ?? '')] as const)
            .filter(([field, value]) => value !== '' || field.defaultValue === '')
            .map(([field, value]) => [field.name, value]),
    );
}

const query = (pairs: readonly (readonly [string, string])[]): string =>
    pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
