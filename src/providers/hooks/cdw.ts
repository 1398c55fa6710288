import { isSilence } from './answers.ts';
import type { VerificationScript } from './hook.ts';

/**
 * There is no call that only reads, so an order without content is sent: a valid key is told what is missing. The vendor's
 * reference is not public, so the path is not proven; its gateway answers 404 to a path it does not know before it looks at a key.
 */
export const cdw: VerificationScript = async ({ call }) => {
    const { status } = await call({ method: 'POST', endpoint: '/order', json: {} });
    if (status === 400) {
        return 'accepted';
    }
    return isSilence(status) || status === 404 ? 'unavailable' : 'rejected';
};
