import { isSilence, isSuccess } from './answers.ts';
import type { VerificationScript } from './hook.ts';

/** The pair travels in the job description; a wrong one is a 200 that says so. */
export const expensify: VerificationScript = async ({ credentials, call }) => {
    const [partnerUserID, partnerUserSecret] = credentials.type === 'BASIC' ? [credentials.username, credentials.password] : [];
    const job = { type: 'get', credentials: { partnerUserID, partnerUserSecret }, inputSettings: { type: 'policyList' } };
    const { status, body } = await call({
        method: 'POST',
        endpoint: '/ExpensifyIntegrations',
        form: { requestJobDescription: JSON.stringify(job) },
    });
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const { responseMessage, responseCode } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    if (/authentication error/i.test(typeof responseMessage === 'string' ? responseMessage : text)) {
        return 'rejected';
    }
    // The body has the status of its own that counts.
    const counted = typeof responseCode === 'number' ? responseCode : status;
    if (isSilence(status) || isSilence(counted)) {
        return 'unavailable';
    }
    return isSuccess(status) ? 'accepted' : 'rejected';
};
