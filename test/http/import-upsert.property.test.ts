/** An import keeps what it does not mention (http-api §8.3), whatever was imported before it. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { startTestApp, type TestApp } from './app.ts';
import { everyEntry, insertIntegration } from './import-entries.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(...everyEntry('https://account.example.com')) });
    await insertIntegration(valetkey, { provider: 'oauth2' });
});
afterAll(() => valetkey?.close());

interface Import {
    metadata?: Record<string, unknown>;
    connection_config?: Record<string, unknown>;
    tags?: Record<string, string>;
    end_user?: { id: string; email?: string; display_name?: string; tags?: Record<string, string> };
    webhook_url_override?: string;
}

/** What one sees of a connection beside its credentials. */
interface Seen {
    metadata: Record<string, unknown>;
    connection_config: Record<string, unknown>;
    tags: Record<string, string>;
    end_user: unknown;
    webhook_url_override: string | null;
}

const text = fc
    .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
    .filter((value) => value.isWellFormed() && !value.includes('\0') && value.trim() === value);
const name = fc.stringMatching(/^[a-z][a-z_]{0,5}$/);
const endUser = fc.record(
    {
        id: fc.constantFrom('ann', 'bob'),
        email: fc.constantFrom('ann@example.com', 'bob@example.com'),
        display_name: fc.constantFrom('', 'Ann'),
        tags: fc.dictionary(fc.constantFrom('Plan', 'team'), fc.constantFrom('', 'gold'), { maxKeys: 2 }),
    },
    { requiredKeys: ['id'] },
);
const anImport: fc.Arbitrary<Import> = fc.record(
    {
        metadata: fc.dictionary(name, fc.oneof(text, fc.integer(), fc.boolean()), { maxKeys: 3 }),
        // some of these names are secret by their name
        connection_config: fc.dictionary(fc.constantFrom('region', 'api_key', 'client_secret', 'shop'), text, { maxKeys: 3 }),
        tags: fc.dictionary(fc.constantFrom('Team', 'plan', 'end_user_display_name', 'x.y'), text, { maxKeys: 3 }),
        end_user: endUser,
        webhook_url_override: fc.constantFrom('', 'https://a.example.com/hook', 'https://b.example.com/hook'),
    },
    { requiredKeys: [] },
);

const nonEmpty = (tags: Record<string, string | undefined>): Record<string, string> =>
    Object.fromEntries(Object.entries(tags).filter((entry): entry is [string, string] => Boolean(entry[1])));
const lowerCase = (tags: Record<string, string>): Record<string, string> =>
    Object.fromEntries(Object.entries(tags).map(([key, value]) => [key.toLowerCase(), value]));

/** §5.3 in one breath; there are never more than ten here. */
function generated(user: Import['end_user']): Record<string, string> {
    const own = lowerCase(user?.tags ?? {});
    const identity = nonEmpty({ end_user_id: user?.id, end_user_email: user?.email, end_user_display_name: user?.display_name });
    return Object.values(own).includes('') ? identity : { ...identity, ...own };
}

/** The model: what the connection looks like after each import. */
function after(before: (Seen & { user: Import['end_user'] }) | undefined, given: Import): Seen & { user: Import['end_user'] } {
    const user = given.end_user ?? before?.user;
    const old = generated(before?.user);
    const isOfEndUser = (key: string): boolean => /^end_user_(id|email|display_name)$/.test(key);
    const kept = Object.fromEntries(Object.entries(before?.tags ?? {}).filter(([key, value]) => old[key] !== value && !isOfEndUser(key)));
    const tags = given.tags
        ? { ...generated(given.end_user), ...lowerCase(given.tags) }
        : given.end_user
          ? { ...kept, ...generated(given.end_user) }
          : (before?.tags ?? {});
    return {
        metadata: given.metadata ?? before?.metadata ?? {},
        connection_config: { ...before?.connection_config, ...given.connection_config },
        tags,
        end_user: user
            ? { id: user.id, email: user.email ?? null, display_name: user.display_name ?? null, tags: user.tags ?? null, organization: null }
            : null,
        webhook_url_override: given.webhook_url_override === undefined ? (before?.webhook_url_override ?? null) : given.webhook_url_override || null,
        user,
    };
}

test('after any sequence of imports the connection is what they said, each last word winning', async () => {
    let count = 0;
    await fc.assert(
        fc.asyncProperty(fc.array(anImport, { minLength: 1, maxLength: 4 }), async (imports) => {
            const connection_id = `c-${(count += 1)}`;
            let expected: ReturnType<typeof after> | undefined;
            let firstId: unknown;
            for (const [index, given] of imports.entries()) {
                expected = after(expected, given);
                const credentials = { type: 'OAUTH2', access_token: `token-${index}` };
                const answer = await valetkey.call('POST', '/connections', {
                    body: { provider_config_key: 'oauth2', connection_id, credentials, ...given },
                });
                expect(answer.status, answer.text).toBe(201);
                const { body: connection } = await valetkey.call('GET', `/connections/${connection_id}?provider_config_key=oauth2`);
                firstId ??= connection['id'];
                const { user: _, ...seen } = expected;
                expect(connection).toMatchObject({ id: firstId, credentials: { access_token: `token-${index}` } });
                expect(Object.fromEntries(Object.keys(seen).map((member) => [member, connection[member]]))).toEqual(seen);
            }
        }),
        { numRuns: 40 },
    );
});
