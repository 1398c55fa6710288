import { ask, idAt, nameOf } from './answers.ts';
import type { PostConnectionHook } from './hook.ts';

/** The vendor names things by their address; the last part of it is the id. */
export const calendly: PostConnectionHook = async (context) => {
    const call = { endpoint: '/users/me' };
    const address = String(idAt(await ask(context, call), 'resource.current_organization', nameOf(call)));
    return { organizationId: address.split('/').at(-1) };
};
