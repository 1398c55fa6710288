import { isSilence, isSuccess, nameOf } from './answers.ts';
import { HookFailure, type PostConnectionHook } from './hook.ts';

/** Accounts without a hierarchy refuse to list its nodes. */
export const checkrPartner: PostConnectionHook = async ({ call }) => {
    const probe = { endpoint: '/v1/nodes' };
    const { status } = await call(probe);
    if (isSilence(status) || status === 401) {
        throw new HookFailure(`${nameOf(probe)} answered ${status}`);
    }
    return { accountHierarchyEnabled: isSuccess(status) };
};
