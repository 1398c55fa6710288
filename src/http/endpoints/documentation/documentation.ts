/** GET /openapi.json and GET /docs: this API, described from the declarations of its endpoints, for programs and for people. */
import { z } from 'zod';
import { docsPage, readAsset, type AssetName } from '../../docs-page/page.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint, type Endpoint } from '../../endpoint.ts';
import { describeApi } from '../../openapi/document.ts';
import type { ApiDescription } from '../../openapi/description.ts';
import type { Services } from '../../services.ts';
import { version } from '../../../version.ts';
import { Cacheable, sendCacheable } from '../../cacheable.ts';

/** @param endpoints asked for when the first caller comes: this endpoint is one of them. */
export function documentation(services: Services, endpoints: () => readonly Endpoint[]): Endpoint[] {
    const description = once((): ApiDescription => describeApi(endpoints(), { publicUrl: services.config.publicUrl, version }));
    return [
        openapiJson(description),
        docs(services, description),
        asset('docs.css', 'text/css'),
        asset('docs.js', 'text/javascript'),
        asset('docs.svg', 'image/svg+xml'),
    ];
}

/** Made for the first who asks, and kept. */
function once<T>(make: () => T): () => T {
    let made: { value: T } | undefined;
    return () => (made ??= { value: make() }).value;
}

const shared = {
    method: 'GET',
    tag: 'Server',
    authenticate: publicEndpoint,
    access: 'anyone',
    anyContentType: true,
    query: anyQuery,
    points: 1,
} as const;

function openapiJson(description: () => ApiDescription): Endpoint {
    const answer = once(() => new Cacheable(JSON.stringify(description()), 'application/json; charset=utf-8'));
    return endpoint({
        ...shared,
        paths: ['/openapi.json'],
        operationId: 'getApiDescription',
        summary: 'Get this description as OpenAPI 3.1',
        description:
            'Made from the schemas by which requests are validated. Has an `ETag`, so that it need not be loaded again while it is the same.',
        answers: { 200: z.looseObject({ openapi: z.string().meta({ examples: ['3.1.1'] }) }), 304: null },
        handle: ({ request, reply }) => sendCacheable(request, reply, answer(), 'public, max-age=300'),
    });
}

/** Everything comes from this server, and nothing is inline. */
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function docs(services: Services, description: () => ApiDescription): Endpoint {
    const page = once(() => new Cacheable(docsPage(description(), services.config.publicUrl), 'text/html; charset=utf-8'));
    return endpoint({
        ...shared,
        paths: ['/docs'],
        operationId: 'getDocumentation',
        summary: 'Read this description as a page',
        answers: { 200: 'text/html', 304: null },
        handle: ({ request, reply }) => sendCacheable(request, reply.header('content-security-policy', policy), page(), 'public, no-cache'),
    });
}

const kinds: Readonly<Record<AssetName, string>> = { 'docs.css': 'Style', 'docs.js': 'Script', 'docs.svg': 'Icon' };
const year = 31_536_000;

/** The page names it with a hash of its content. */
function asset(name: AssetName, mediaType: string): Endpoint {
    const file = once(() => new Cacheable(readAsset(name), `${mediaType}; charset=utf-8`));
    return endpoint({
        ...shared,
        paths: [`/docs/${name}`],
        operationId: `getDocumentation${kinds[name]}`,
        summary: `Get the ${kinds[name].toLowerCase()} of that page`,
        answers: { 200: mediaType, 304: null },
        handle: ({ request, reply }) => sendCacheable(request, reply, file(), `public, max-age=${year}, immutable`),
    });
}
