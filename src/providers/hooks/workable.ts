import { ask, idAt, listAt, nameOf } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

/** Asked where accounts have no host of their own yet. */
export const workable: PostConnectionHook = async (context) => {
    if (context.connectionConfig['subdomain']) {
        return {};
    }
    const call = { baseUrl: 'https://www.workable.com', endpoint: '/spi/v3/accounts' };
    const [first] = listAt(await ask(context, call), 'accounts', nameOf(call));
    return first === undefined ? {} : { subdomain: idAt(first, 'subdomain', nameOf(call)) };
};
