import { ask, at, idAt, nameOf } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

/** The demo has an API base of its own in its entry (A4). A token of a whole organisation has no one company. */
export const gusto: PostConnectionHook = async (context) => {
    const call = { endpoint: '/v1/token_info' };
    const body = await ask(context, call);
    const type = at(body, 'resource.type');
    return type === undefined || type === 'Company' ? { companyUuid: idAt(body, 'resource.uuid', nameOf(call)) } : {};
};
