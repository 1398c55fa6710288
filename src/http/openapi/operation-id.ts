/** What generated clients call an operation: stable as long as its method and path are. */
import type { Endpoint } from '../endpoint.ts';
import { templateOf } from './parameters.ts';

const verbs = { GET: 'get', POST: 'create', PATCH: 'update', PUT: 'replace', DELETE: 'delete' } as const;

/** `GET /connections` is `listConnections`, `PATCH /connections/{connectionId}` is `updateConnection`. */
export function operationIdOf(endpoint: Endpoint, path: string): string {
    const [usual] = endpoint.paths;
    const id = endpoint.operationId ?? `${derived(endpoint.method, templateOf(usual))}${endpoint.isDeprecated ? 'Deprecated' : ''}`;
    return path === usual ? id : `${id}Alias`;
}

function derived(method: Endpoint['method'], template: string): string {
    const segments = template.split('/').filter((segment) => segment !== '');
    const isOfOne = segments.at(-1)?.startsWith('{') ?? false;
    const nouns = words(template);
    const last = nouns.at(-1) ?? 'Root';
    if (method === 'GET' && !isOfOne && last.endsWith('s')) {
        return `list${nouns.join('')}`;
    }
    const isSingular = isOfOne || method === 'POST';
    return `${verbs[method]}${[...nouns.slice(0, -1), isSingular ? singular(last) : last].join('')}`;
}

/** Of a path's fixed parts: `/connect/sessions` is `Connect`, `Sessions`. */
const words = (template: string): string[] =>
    template
        .split('/')
        .filter((segment) => segment !== '' && !segment.startsWith('{'))
        .flatMap((segment) => segment.split(/[^a-zA-Z0-9]+/))
        .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1));

const singular = (word: string): string => (word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word);
