import type { PostConnectionHook } from './hook.ts';
import { tokenClaim } from './token-claim.ts';

export const sellsy: PostConnectionHook = ({ credentials }) => {
    const corpid = tokenClaim(credentials, 'corpid');
    return Promise.resolve(corpid === undefined ? {} : { corpid });
};
