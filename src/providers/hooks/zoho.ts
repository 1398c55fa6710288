import { at } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

/** The end of every host of the account's data centre, unless it was chosen before. One that no host of the entry may have is left alone. */
export const zoho: PostConnectionHook = ({ credentials, connectionConfig, provider }) => {
    const domain = connectionConfig['api_domain'] ?? (credentials.type === 'OAUTH2' ? at(credentials.raw, 'api_domain') : undefined);
    const [, extension] = /\bzohoapis\.([a-z.]+)/.exec(typeof domain === 'string' ? domain : '') ?? [];
    const isKnown = extension !== undefined && provider.configRules.get('extension')?.fault(extension) === undefined;
    return Promise.resolve(isKnown && !connectionConfig['extension'] ? { extension } : {});
};
