/** GET /providers.json: the catalogue for whoever asks, by name (http-api §3). */
import { z } from 'zod';
import { publicEndpoint } from '../../authentication.ts';
import { sendCacheable } from '../../cacheable.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { Provider, providerExample } from './provider-view.ts';
import type { PublicCatalogue } from './public-catalogue.ts';

export const exportProviders = (catalogue: PublicCatalogue) =>
    endpoint({
        method: 'GET',
        paths: ['/providers.json'],
        tag: 'Providers',
        operationId: 'getCatalogue',
        summary: 'Read the whole catalogue, without a key',
        description: 'Has an `ETag`; a request with `If-None-Match` is answered with 304.',
        authenticate: publicEndpoint,
        access: 'anyone',
        anyContentType: true,
        query: anyQuery,
        answers: {
            200: z.record(z.string(), Provider).meta({ description: 'By name.', examples: [{ [providerExample.name]: providerExample }] }),
            304: null,
        },
        handle: ({ request, reply }) => sendCacheable(request, reply, catalogue.map, 'public, max-age=300'),
    });
