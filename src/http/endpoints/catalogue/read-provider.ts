/** GET /providers/:provider (http-api §6.2). */
import { z } from 'zod';
import { acceptedLanguage, acceptLanguageDescription } from '../../accepted-language.ts';
import { sessionOrApiKey } from '../../authentication.ts';
import { sendCacheable } from '../../cacheable.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { ProviderName } from '../../field-types.ts';
import type { Services } from '../../services.ts';
import { Provider } from './provider-view.ts';
import { revalidated, type PublicCatalogue } from './public-catalogue.ts';

export const readProvider = (services: Services, catalogue: PublicCatalogue) =>
    endpoint({
        method: 'GET',
        paths: ['/providers/:provider'],
        tag: 'Providers',
        summary: 'Read a provider',
        description: `Tells what to ask of the person who connects. ${acceptLanguageDescription} Has an \`ETag\`; a request with \`If-None-Match\` is answered with 304.`,
        authenticate: sessionOrApiKey(services),
        access: 'environment',
        params: z.object({ provider: ProviderName }),
        answers: { 200: z.object({ data: Provider }), 304: null },
        errors: { 404: ['not_found'] },
        handle({ params, request, reply }) {
            const entry = catalogue.in(acceptedLanguage(request.headers['accept-language'])).entry(params.provider);
            if (entry === undefined) {
                throw ApiError.simple(404, 'not_found', `Unknown provider ${params.provider}`);
            }
            return sendCacheable(request, reply, entry, revalidated);
        },
    });
