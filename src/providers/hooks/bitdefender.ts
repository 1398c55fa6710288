import { at, verdictOf } from './answers.ts';
import type { VerificationScript } from './hook.ts';

/** JSON-RPC: a refusal is a 200 with an `error`. */
export const bitdefender: VerificationScript = async ({ call }) =>
    verdictOf(
        await call({
            method: 'POST',
            endpoint: '/v1.0/jsonrpc/general',
            json: { jsonrpc: '2.0', method: 'getApiKeyDetails', params: {}, id: '1' },
        }),
        (body) => at(body, 'error') === undefined && at(body, 'result') !== undefined,
    );
