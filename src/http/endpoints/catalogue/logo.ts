/** GET /images/template-logos/:file: a provider's logo where there is one that may be shown, else its initials. An operator may put their own in front. */
import { z } from 'zod';
import { readLogos, type Logos } from '../../../providers/logos/logos.ts';
import { logoTile, monogramTile } from '../../../providers/logos/tile.ts';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint, type Endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';

export function logo(services: Services): Endpoint {
    /** Read for the first who asks. */
    let logos: Logos | undefined;
    return endpoint({
        method: 'GET',
        paths: ['/images/template-logos/:file'],
        tag: 'Providers',
        operationId: 'getProviderLogo',
        summary: 'Get the logo of a provider',
        description: 'The address is in every provider’s `logo_url` and every integration’s `logo`.',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 1,
        anyContentType: true,
        // `?v=2` and the like
        query: anyQuery,
        params: z.object({
            file: z
                .string()
                .max(80)
                .meta({ description: 'The name of the provider and `.svg`.', examples: ['github.svg'] }),
        }),
        answers: { 200: 'image/svg+xml' },
        errors: { 404: ['not_found'] },
        handle({ params, reply }) {
            const provider = params.file.endsWith('.svg') ? services.catalogue.get(params.file.slice(0, -'.svg'.length)) : undefined;
            if (provider === undefined) {
                throw ApiError.simple(404, 'not_found', 'There is no such logo.');
            }
            const mark = (logos ??= readLogos()).get(provider.name);
            return reply
                .headers({
                    'content-type': 'image/svg+xml',
                    'cache-control': 'public, max-age=86400',
                    'cross-origin-resource-policy': 'cross-origin',
                    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
                })
                .send(mark === undefined ? monogramTile(provider.displayName) : logoTile(mark));
        },
    });
}
