/** GET /images/template-logos/:file: a letter tile per provider. Vendor logos are the vendors'; an operator may add their own in front. */
import { z } from 'zod';
import { publicEndpoint } from '../../authentication.ts';
import { anyQuery, endpoint } from '../../endpoint.ts';
import { ApiError } from '../../errors.ts';
import type { Services } from '../../services.ts';

export const logo = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/images/template-logos/:file'],
        tag: 'Providers',
        summary: 'Provider logo',
        authenticate: publicEndpoint,
        access: 'anyone',
        points: 1,
        anyContentType: true,
        // `?v=2` and the like
        query: anyQuery,
        params: z.object({ file: z.string().max(80) }),
        answers: { 200: 'image/svg+xml' },
        handle({ params, reply }) {
            const provider = params.file.endsWith('.svg') ? services.catalogue.get(params.file.slice(0, -'.svg'.length)) : undefined;
            if (provider === undefined) {
                throw ApiError.simple(404, 'not_found', 'There is no such logo.');
            }
            return reply
                .headers({
                    'content-type': 'image/svg+xml',
                    'cache-control': 'public, max-age=86400',
                    'cross-origin-resource-policy': 'cross-origin',
                    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
                })
                .send(tile(provider.name, provider.displayName));
        },
    });

/** The hue comes from the name, so that neighbours in a list differ. */
function tile(name: string, displayName: string): string {
    const hue = [...name].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 360, 0);
    const letter = /[a-z0-9]/i.exec(displayName)?.[0]?.toUpperCase() ?? '?';
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" rx="10" fill="hsl(${hue} 45% 42%)"/><text x="24" y="32" font-family="system-ui, sans-serif" font-size="24" font-weight="600" fill="#fff" text-anchor="middle">${letter}</text></svg>`;
}
