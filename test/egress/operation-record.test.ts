/** What an operation has to say of its calls: in order, whatever came back, and free of secrets that it was told of. */
import { expect, test } from 'vitest';
import { EgressError, type Egress, type EgressResponse } from '../../src/egress/egress.ts';
import { OperationRecord } from '../../src/egress/operation-record.ts';
import { virtualSources } from '../virtual-sources.ts';

const url = 'https://api.example.com/token?code=the-code';

function setUp(answer: (count: number) => Partial<EgressResponse> | EgressError) {
    const sources = virtualSources();
    let count = 0;
    const egress = {
        request: async () => {
            await sources.advance(25);
            const response = answer((count += 1));
            if (response instanceof EgressError) throw response;
            return { status: 200, headers: {}, setCookies: [], body: Buffer.alloc(0), ...response } as EgressResponse;
        },
    } as unknown as Egress;
    const record = new OperationRecord(sources);
    return { sources, record, egress: record.through(egress) };
}

test('tells steps and calls in order, with what came back, how long it took, and of which attempt', async () => {
    const lost = new EgressError('connection_lost', 'api.example.com', { neverSent: false, reason: 'ECONNRESET' });
    const { sources, record, egress } = setUp((count) => (count === 1 ? { headers: { server: 's' } } : count === 2 ? { status: 503 } : lost));
    const began = new Date(sources.now());
    record.step('Begun', { meta: { integration: 'i' } });
    await egress.request({ url, method: 'POST', headers: { authorization: 'Basic aTpz' } });
    record.retry = { attempt: 2, max: 3, waited: 1000 };
    await egress.request({ url });
    await expect(egress.request({ url })).rejects.toBe(lost);
    const shown = 'https://api.example.com/token?code=REDACTED';
    expect(record.messages()).toEqual([
        { level: 'info', message: 'Begun', meta: { integration: 'i' }, at: began },
        {
            type: 'http',
            level: 'info',
            message: 'POST api.example.com/token: 200',
            request: { method: 'POST', url: shown, headers: { authorization: 'REDACTED' } },
            response: { code: 200, headers: { server: 's' } },
            at: began,
            endedAt: new Date(began.getTime() + 25),
            durationMs: 25,
        },
        expect.objectContaining({ level: 'error', response: { code: 503, headers: {} }, retry: { attempt: 2, max: 3, waited: 1000 } }),
        expect.objectContaining({
            level: 'error',
            message: 'GET api.example.com/token: no answer (connection_lost)',
            error: { type: 'connection_lost', message: 'The request was sent, and may have been acted on: connection_lost (ECONNRESET)' },
        }),
    ]);
    // A write that is repeated says the same.
    expect(record.messages()).toEqual(record.messages());
});

test('knows what was typed in, what was sent, and what became known only afterwards', async () => {
    const { record, egress } = setUp(() => ({
        headers: { 'x-request-id': 'aTpzZWNyZXQtb25l', 'x-trace-id': 'later-token', 'cf-ray': 'the-code-2' },
    }));
    let token = '';
    record.conceal(() => [{ apiKey: 'key', raw: { short: 'api', access_token: token, token_type: 'example' } }]);
    await egress.request({ url: 'https://api.example.com/key/api/token?code=the-code-2', headers: { Authorization: 'Basic aTpzZWNyZXQtb25l' } });
    token = 'later-token';
    record.step('The later-token was said');
    const [call, step] = record.messages();
    expect(call!.request!.url).toBe('https://api.example.com/REDACTED/api/token?code=REDACTED');
    expect(call!.response!.headers).toEqual({ 'x-request-id': 'REDACTED', 'x-trace-id': 'REDACTED', 'cf-ray': 'REDACTED' });
    expect(step!.message).toBe('The REDACTED was said');
});

test('lists fifty calls, and how many there were besides', async () => {
    const { record, egress } = setUp(() => ({}));
    for (let call = 0; call < 53; call += 1) await egress.request({ url });
    expect(record.messages()).toHaveLength(51);
    expect(record.messages().at(-1)).toMatchObject({ level: 'warn', message: '3 further calls are not listed' });
});
