import { ask, idAt, listAt, nameOf } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

export const procore: PostConnectionHook = async (context) => {
    if (context.connectionConfig['companyId']) {
        return {};
    }
    const call = { endpoint: '/rest/v1.0/companies' };
    const [first] = listAt(await ask(context, call), '', nameOf(call));
    return first === undefined ? {} : { companyId: idAt(first, 'id', nameOf(call)) };
};
