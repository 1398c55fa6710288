import { ask, idAt, listAt, nameOf } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

export const basecamp: PostConnectionHook = async (context) => {
    const call = { baseUrl: 'https://launchpad.37signals.com', endpoint: '/authorization.json' };
    const accounts = listAt(await ask(context, call), 'accounts', nameOf(call));
    const isChosen = Boolean(context.connectionConfig['accountId']);
    return { accounts, ...(accounts.length === 1 && !isChosen ? { accountId: String(idAt(accounts[0], 'id', nameOf(call))) } : {}) };
};
