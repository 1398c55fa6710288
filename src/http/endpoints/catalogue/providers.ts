/** GET /providers: the catalogue (http-api §6). */
import { z } from 'zod';
import type { Provider } from '../../../providers/provider.ts';
import { publicProvider } from '../../../providers/public-form.ts';
import { sessionOrApiKey } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import { IntegrationKey, ProviderName } from '../../field-types.ts';
import type { Services } from '../../services.ts';

const logoBase = (services: Services): string => `${services.config.publicUrl}/images/template-logos`;

export const listProviders = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/providers'],
        tag: 'Providers',
        summary: 'The provider catalogue',
        authenticate: sessionOrApiKey(services),
        access: 'environment',
        query: z.strictObject({ search: IntegrationKey.optional() }),
        handle({ query }) {
            const wanted = query.search?.toLowerCase();
            const isWanted = (provider: Provider): boolean =>
                wanted === undefined || provider.name.includes(wanted) || provider.displayName.toLowerCase().includes(wanted);
            return {
                data: services.catalogue
                    .list()
                    .filter(isWanted)
                    .map((provider) => publicProvider(provider, logoBase(services))),
            };
        },
    });

export const readProvider = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/providers/:provider'],
        tag: 'Providers',
        summary: 'One provider',
        authenticate: sessionOrApiKey(services),
        access: 'environment',
        params: z.object({ provider: ProviderName }),
        handle({ params }) {
            const provider = services.catalogue.get(params.provider);
            if (provider === undefined) {
                throw ApiError.simple(404, 'not_found', `Unknown provider ${params.provider}`);
            }
            return { data: publicProvider(provider, logoBase(services)) };
        },
    });
