/** The API of a provider, as far as Valetkey calls it: whoever brings the declared credential gets a plausible answer. */
import { assertCaller } from './caller.ts';
import { mayBeAbsent } from './declared-params.ts';
import { Refusal } from './refusal.ts';
import { namesIn } from './text-template.ts';
import { json, type Answer, type Call, type Endpoint } from './twin.ts';

export function apiEndpoints({ proxy }: Call['entry']): Endpoint[] {
    const roots = [proxy?.base_url, proxy?.verification?.base_url_override].filter((url) => url !== undefined && !url.includes('.invalid'));
    return [...new Set(roots)].map((url) => ({ kind: 'api' as const, url: url!, isPrefix: true, handle: echo, refuse: refuseCaller }));
}

/** An API call that answers with something of its own. */
export const lookup = (url: string, answer: (call: Call) => Answer | Promise<Answer>): Endpoint => ({
    kind: 'lookup',
    url,
    handle: async (call) => {
        await assertCaller(call);
        return answer(call);
    },
    refuse: refuseCaller,
});

export const refuseCaller = ({ status, code, message }: Refusal): Answer => ({
    status,
    headers: status === 401 ? { 'www-authenticate': 'Bearer error="invalid_token"' } : {},
    body: { error: code, error_description: message },
});

async function echo(call: Call): Promise<Answer> {
    const { entry, request } = call;
    await assertCaller(call);
    assertFixedHeaders(call);
    return json({
        simulated: true,
        provider: entry.slug,
        method: request.method,
        path: request.url.pathname,
        query: [...request.url.searchParams.keys()],
    });
}

/** Headers that the entry adds to every call. Their values may be the caller's own. */
function assertFixedHeaders(call: Call): void {
    for (const [name, template] of Object.entries(call.entry.proxy?.headers ?? {})) {
        const isConditional = namesIn(template).length > 0 && mayBeAbsent(call, template);
        if (call.request.headers[name.toLowerCase()] === undefined && !isConditional && !template.includes('clientId')) {
            throw new Refusal(400, 'missing_header', `The header "${name.toLowerCase()}" is missing.`);
        }
    }
}
