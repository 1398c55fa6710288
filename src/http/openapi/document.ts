/**
 * The OpenAPI 3.1 description of this API, made from the declarations of its endpoints: the schemas that validate requests
 * and those that `answers` names. Nothing in it is written a second time.
 */
import type { Endpoint } from '../endpoint.ts';
import type { ApiDescription, Method } from './description.ts';
import { addEnvelopes, sharedFailures } from './failures.ts';
import { headers, idempotency, introduction, parameters, securitySchemes, summary, tagDescriptions, title } from './introduction.ts';
import { addSchemas, operationOf } from './operation.ts';
import { templateOf } from './parameters.ts';
import { Schemas } from './schemas.ts';

export function describeApi(endpoints: readonly Endpoint[], { publicUrl, version }: { publicUrl: string; version: string }): ApiDescription {
    const schemas = new Schemas();
    addEnvelopes(schemas);
    for (const endpoint of endpoints) {
        addSchemas(schemas, endpoint);
    }
    const paths: ApiDescription['paths'] = {};
    for (const endpoint of endpoints) {
        for (const path of endpoint.paths) {
            const item = (paths[templateOf(path)] ??= {});
            item[endpoint.method.toLowerCase() as Method] = operationOf(endpoint, path, { schemas, publicUrl });
        }
    }
    const isRepeatable = endpoints.some(({ creates }) => creates);
    const used = new Set<string>(endpoints.map(({ tag }) => tag));
    return {
        openapi: '3.1.1',
        info: {
            title,
            version,
            summary,
            description: isRepeatable ? `${introduction}\n\n${idempotency}` : introduction,
            license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
        },
        servers: [{ url: publicUrl }],
        tags: Object.entries(tagDescriptions)
            .filter(([name]) => used.has(name))
            .map(([name, description]) => ({ name, description })),
        paths,
        components: {
            schemas: schemas.components(),
            responses: sharedFailures(schemas),
            parameters: isRepeatable ? parameters : {},
            headers,
            securitySchemes,
        },
    };
}
