import { ask, idAt, listAt, nameOf } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

/** The headers that name company and site are left out of this one call, as there are none yet. */
export const sage200: PostConnectionHook = async (context) => {
    const call = { endpoint: '/accounts/v1/sites' };
    const [first] = listAt(await ask(context, call), '', nameOf(call));
    return first === undefined
        ? {}
        : { company_id: String(idAt(first, 'company_id', nameOf(call))), site_id: String(idAt(first, 'site_id', nameOf(call))) };
};
