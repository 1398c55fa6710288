/** The routes of a server, as its router has them. */
import type { TestApp } from './app.ts';

/** `GET /connections` and so on, sorted; HEAD and preflight come with them. */
export function routesOf({ app }: TestApp): string[] {
    const lines = app.server.printRoutes({ commonPrefix: false }).split('\n');
    const routes: string[] = [];
    const parents: string[] = [];
    for (const line of lines) {
        const match = /^([│ ]*)[├└]── (\S*) \(([A-Z, ]+)\)$/.exec(line);
        if (match === null) {
            continue;
        }
        const [, indent = '', part = '', methods = ''] = match;
        const depth = indent.length / 4;
        parents.length = depth;
        parents.push(part);
        const path = parents.join('');
        routes.push(
            ...methods
                .split(', ')
                .filter((method) => method !== 'HEAD' && method !== 'OPTIONS')
                .map((method) => `${method} ${path}`),
        );
    }
    return routes.toSorted();
}
