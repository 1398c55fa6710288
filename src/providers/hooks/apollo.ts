import { at, verdictOf } from './answers.ts';
import type { VerificationScript } from './hook.ts';

/** A wrong key is answered with 200 too. */
export const apollo: VerificationScript = async ({ call }) =>
    verdictOf(await call({ endpoint: '/v1/auth/health' }), (body) => at(body, 'is_logged_in') === true);
