/** Who may call what (http-api §1.4): every route of the server declares it, and no route is more open than it declares. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/http/endpoint.ts';
import { accountScopes, environmentScopes, type Scope } from '../../src/http/scopes.ts';
import { startTestApp, type TestApp } from './app.ts';
import { endpoints } from './declarations.ts';
import { routesOf } from './routes.ts';

const knownScopes = new Set<string>([...environmentScopes, ...accountScopes]);
const scoped = endpoints.flatMap((endpoint) => (typeof endpoint.access === 'string' ? [] : [{ endpoint, scopes: endpoint.access }]));

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ env: { VALETKEY_RATE_LIMIT_PER_MIN: '1000000' } });
});
afterAll(() => valetkey.close());

test('every route of the server is an endpoint that declares who may call it', () => {
    const declared = endpoints.flatMap(({ method, paths }) => paths.map((path) => `${method} ${path}`));
    expect(routesOf(valetkey)).toEqual(declared.toSorted());
    for (const { access, authenticate, paths } of endpoints) {
        // A caller who presents nothing can be held to nothing.
        expect([paths, access === 'anyone']).toEqual([paths, authenticate.by === 'nothing']);
        expect([paths, access === 'connect session']).toEqual([paths, /^connect session( in query| in body)?$/.test(authenticate.by)]);
    }
});

test('the scopes that routes name can be held', () => {
    expect(scoped.length).toBeGreaterThan(5);
    expect(scoped.flatMap(({ scopes }) => scopes).filter((scope) => !knownScopes.has(scope))).toEqual([]);
});

/** Of an account key and an environment key each, every scope but those the route names. */
const others = (scopes: readonly Scope[], of: readonly string[]): string[] => of.filter((scope) => !scopes.includes(scope as Scope));

describe.each(scoped.map(({ endpoint, scopes }) => [`${endpoint.method} ${endpoint.paths[0]}`, endpoint, scopes] as const))(
    '%s',
    (_name, endpoint, scopes) => {
        test('refuses keys with every other scope, and whatever they send', async () => {
            const environmentKey = await valetkey.insertKey({ scopes: others(scopes, environmentScopes) });
            const accountKey = await valetkey.insertKey({ scopes: others(scopes, accountScopes), environment: null });
            for (const key of [environmentKey, accountKey]) {
                const answer = await call(endpoint, key);
                expect([answer.status, answer.body]).toEqual([
                    403,
                    { error: { code: 'forbidden', message: expect.stringContaining(scopes[0]) as string } },
                ]);
            }
        });

        test.each(scopes)('accepts %s', async (scope) => {
            const key = await valetkey.insertKey({ scopes: [scope], environment: scope.startsWith('account:') ? null : 'dev' });
            const answer = await call(endpoint, key);
            expect([answer.status, answer.text]).not.toEqual([403, expect.anything()]);
            expect(answer.status).not.toBe(401);
        });
    },
);

/** One that streams is asked wrongly, which comes after access: its answer would have no end. */
const call = ({ method, paths, answers }: Endpoint, key: string) =>
    valetkey.call(method, `${paths[0].replaceAll(/:\w+/g, 'nothing')}${answers[200] === 'text/event-stream' ? '?unknown' : ''}`, {
        key,
        ...(method === 'GET' ? {} : { body: {} }),
    });
