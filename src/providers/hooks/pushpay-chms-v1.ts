import { verdictOf } from './answers.ts';
import type { VerificationScript } from './hook.ts';

/** Errors are elements of a 200; a page of another kind is no answer of the API. */
export const pushpayChmsV1: VerificationScript = async ({ call }) =>
    verdictOf(
        await call({ endpoint: '/api.php?srv=api_status' }),
        (body) => typeof body === 'string' && body.includes('<ccb_api') && !/<error[\s/>]/.test(body),
    );
