import { verdictOf } from './answers.ts';
import type { VerificationScript } from './hook.ts';

export const snipeIt: VerificationScript = async ({ call }) => verdictOf(await call({ endpoint: '/v1/users?limit=1' }));
