import { at, verdictOf } from './answers.ts';
import type { VerificationScript } from './hook.ts';

export const skio: VerificationScript = async ({ call }) =>
    verdictOf(await call({ method: 'POST', endpoint: '/v1/graphql', json: { query: 'query { Orders(limit: 1) { id } }' } }), (body) =>
        Array.isArray(at(body, 'data.Orders')),
    );
