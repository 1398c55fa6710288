/** GET /providers: the catalogue (http-api §6.1). */
import { z } from 'zod';
import { acceptedLanguage, acceptLanguageDescription } from '../../accepted-language.ts';
import { sessionOrApiKey } from '../../authentication.ts';
import { sendCacheable } from '../../cacheable.ts';
import { endpoint } from '../../endpoint.ts';
import { IntegrationKey } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { Provider } from './provider-view.ts';
import { revalidated, type PublicCatalogue } from './public-catalogue.ts';

export const listProviders = (services: Services, catalogue: PublicCatalogue) =>
    endpoint({
        method: 'GET',
        paths: ['/providers'],
        tag: 'Providers',
        summary: 'List providers',
        description: `The catalogue in its order, all at once. ${acceptLanguageDescription} The whole list has an \`ETag\`; a request with \`If-None-Match\` is answered with 304.`,
        authenticate: sessionOrApiKey(services),
        access: 'environment',
        query: z.strictObject({ search: IntegrationKey.optional().describe('Part of the name or display name, in any case.') }),
        answers: { 200: z.object({ data: z.array(Provider) }), 304: null },
        handle({ query, request, reply }) {
            const language = acceptedLanguage(request.headers['accept-language']);
            const edition = catalogue.in(language);
            return query.search === undefined
                ? sendCacheable(request, reply, edition.list, revalidated)
                : reply
                      .headers({ 'content-type': 'application/json; charset=utf-8', 'content-language': language, vary: 'Accept-Language' })
                      .send(edition.search(query.search));
        },
    });
