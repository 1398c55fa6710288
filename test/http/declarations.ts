/** The endpoints' declarations and the description made from them, without a server: what handlers would use is looked at when they run. */
import { loadConfig } from '../../src/config.ts';
import type { Endpoint } from '../../src/http/endpoint.ts';
import { endpointsOf } from '../../src/http/endpoints/index.ts';
import { describeApi } from '../../src/http/openapi/document.ts';
import type { Services } from '../../src/http/services.ts';

/** Answers every property it does not have with one that answers every property, so that declarations can be built. */
function having(known: Readonly<Record<string, unknown>>): unknown {
    const self: unknown = new Proxy(() => self, {
        get: (_target, name) => (name === Symbol.toPrimitive ? () => 'anything' : ((typeof name === 'string' ? known[name] : undefined) ?? self)),
    });
    return self;
}

export const publicUrl = 'https://auth.example.com';

export const endpoints: readonly Endpoint[] = endpointsOf(having({ config: loadConfig({ VALETKEY_PUBLIC_URL: publicUrl }) }) as Services);

export const description = describeApi(endpoints, { publicUrl, version: '1.2.3' });
