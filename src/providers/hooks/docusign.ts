import { ask, at, idAt, listAt, nameOf } from './answers.ts';
import { isHostBelow } from './vendor-host.ts';
import { HookFailure, type PostConnectionHook } from './hook.ts';

/** A4: the sandbox by the provider's name, never by the integration's. */
const accountHosts: Readonly<Record<string, string>> = {
    'docusign-sandbox': 'https://account-d.docusign.com',
};

export const docusign: PostConnectionHook = async (context) => {
    const call = { baseUrl: accountHosts[context.provider.name] ?? 'https://account.docusign.com', endpoint: '/oauth/userinfo' };
    const accounts = listAt(await ask(context, call), 'accounts', nameOf(call));
    const account = accounts.find((candidate) => at(candidate, 'is_default') === true);
    if (account === undefined) {
        return {};
    }
    const baseUri = String(idAt(account, 'base_uri', nameOf(call)));
    if (!isHostBelow(baseUri, 'docusign.net', 'docusign.com')) {
        throw new HookFailure(`${nameOf(call)} answered with a base_uri that is not DocuSign's`);
    }
    return { baseUri, accountId: idAt(account, 'account_id', nameOf(call)) };
};
