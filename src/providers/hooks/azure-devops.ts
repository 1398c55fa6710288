import { isSilence } from './answers.ts';
import type { VerificationScript } from './hook.ts';

/** Whoever is not signed in gets the sign-in page, with 203. */
export const azureDevops: VerificationScript = async ({ call }) => {
    const { status } = await call({ endpoint: '/_apis/projects' });
    return isSilence(status) ? 'unavailable' : status === 200 ? 'accepted' : 'rejected';
};
