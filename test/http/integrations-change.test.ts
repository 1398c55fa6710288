/** PATCH and DELETE /integrations/:uniqueKey: what changes, what stays, and what goes along (http-api §7.5, §7.6; auth-modes E7). */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiKeyEntry, providersFile } from '../e2e/provider-entries.ts';
import { listen, type HttpServer } from '../peers/http-server.ts';
import { connectKey, createIntegration, createSession } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';
import { codeOf, credentialsOf, everyMode, issues, pem, pkcs8 } from './every-mode.ts';

type Body = Record<string, unknown>;

let valetkey: TestApp;
let count = 0;

/** Looks at keys until it is told to answer. */
const provider = { asked: Promise.withResolvers<void>(), answer: Promise.withResolvers<void>() };
let server: HttpServer;

beforeAll(async () => {
    server = await listen((_request, response) => {
        provider.asked.resolve();
        void provider.answer.promise.then(() => response.end('{}'));
    });
    const entries = JSON.parse(everyMode()) as Record<string, unknown>;
    valetkey = await startTestApp({ providers: providersFile(entries, apiKeyEntry('tested', `http://127.0.0.1:${server.port}`)) });
});

afterAll(async () => {
    await valetkey?.close();
    await server?.close();
});

/** @returns the key of a new integration. */
async function make(provider: string, rest: Body = {}): Promise<string> {
    const key = `${provider}-${(count += 1)}`;
    await createIntegration(valetkey, key, provider, rest);
    return key;
}

const patch = (key: string, body: unknown): Promise<Answer<{ data: Body }>> =>
    valetkey.call('PATCH', `/integrations/${encodeURIComponent(key)}`, { body });
const remove = (key: string, query = ''): Promise<Answer> => valetkey.call('DELETE', `/integrations/${encodeURIComponent(key)}${query}`);
const credentialsOfKey = async (key: string): Promise<unknown> => {
    const answer = await valetkey.call<{ data: Body }>('GET', `/integrations/${encodeURIComponent(key)}?include=credentials`);
    return answer.body.data['credentials'];
};
const config = async (key: string): Promise<Body> =>
    (await valetkey.call<{ config: Body }>('GET', `/config/${encodeURIComponent(key)}?include_creds=true`)).body.config;
const refused = { error: { code: 'invalid_body', message: expect.any(String) as string } };

describe('PATCH /integrations/:uniqueKey', () => {
    test('changes what is named, leaves the rest, and is noted', async () => {
        const key = await make('oauth', { display_name: 'Before', credentials: credentialsOf.oauth, allowed_hosts: ['a.example'] });
        await valetkey.query(`update integrations set updated_at = updated_at - interval '1 hour' where unique_key = $1`, [key]);
        const before = (await valetkey.call<{ data: Body }>('GET', `/integrations/${key}`)).body.data;
        const answer = await patch(key, { forward_webhooks: false });
        expect(answer.status).toBe(200);
        expect(answer.body.data).toEqual({ ...before, forward_webhooks: false, updated_at: expect.any(String) as string });
        expect(Date.parse(answer.body.data['updated_at'] as string)).toBeGreaterThan(Date.parse(before['updated_at'] as string));
        expect((await patch(key, { display_name: 'After' })).body.data).toMatchObject({ display_name: 'After', forward_webhooks: false });
        expect(await credentialsOfKey(key)).toMatchObject(credentialsOf.oauth);
    });

    test('nothing at all is a change too', async () => {
        const key = await make('keys');
        await valetkey.query(`update integrations set updated_at = updated_at - interval '1 hour' where unique_key = $1`, [key]);
        const answer = await patch(key, {});
        expect([answer.status, answer.body.data['updated_at'] === answer.body.data['created_at']]).toEqual([200, false]);
    });

    test('hosts that may receive the secret are replaced; null returns to the catalogue’s', async () => {
        const key = await make('oauth', { credentials: credentialsOf.oauth });
        expect((await patch(key, { allowed_hosts: ['a.example', '.b.example:8443'] })).body.data['allowed_hosts']).toEqual([
            'a.example',
            '.b.example:8443',
        ]);
        expect((await patch(key, { allowed_hosts: [] })).body.data['allowed_hosts']).toEqual([]);
        expect((await patch(key, { allowed_hosts: null })).body.data).not.toHaveProperty('allowed_hosts');
    });

    describe('a new key', () => {
        test('takes the place of the old one, which is free again', async () => {
            const key = await make('keys');
            const answer = await patch(key, { unique_key: `${key} renamed` });
            expect([answer.status, answer.body.data['unique_key']]).toEqual([200, `${key} renamed`]);
            expect((await patch(key, {})).status).toBe(404);
            await createIntegration(valetkey, key, 'keys');
        });

        test('must not be that of another integration', async () => {
            const [key, other] = [await make('keys'), await make('keys')];
            const answer = await patch(key, { unique_key: other });
            expect([answer.status, answer.body]).toEqual([400, refused]);
        });

        test('may be that of one that was deleted, or of another environment', async () => {
            const [key, deleted] = [await make('keys'), await make('keys')];
            await remove(deleted);
            expect((await patch(key, { unique_key: deleted })).status).toBe(200);
            await valetkey.call('POST', '/integrations', { key: valetkey.prodKey, body: { provider: 'keys', unique_key: 'elsewhere' } });
            expect((await patch(deleted, { unique_key: 'elsewhere' })).status).toBe(200);
        });

        test('is given to one of two that want it at once', async () => {
            const keys = [await make('keys'), await make('keys')];
            const answers = await Promise.all(keys.map((key) => patch(key, { unique_key: 'wanted' })));
            expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 400]);
            expect(answers.find((answer) => answer.status === 400)?.body).toEqual(refused);
        });

        test('is refused while there are connections, and not noticed when it is the old one', async () => {
            const key = await make('keys');
            const connection = await connectKey(valetkey, key, await createSession(valetkey));
            const answer = await patch(key, { unique_key: `${key} renamed`, display_name: 'Not that either' });
            expect([answer.status, answer.body]).toEqual([400, refused]);
            expect((await patch(key, { unique_key: key })).body.data).toMatchObject({ unique_key: key, display_name: 'Test keys' });
            await valetkey.call('DELETE', `/connections/${connection}?provider_config_key=${key}`);
            expect((await patch(key, { unique_key: `${key} renamed` })).status).toBe(200);
        });
    });

    describe('credentials', () => {
        test('replace id and secret as a block; scopes stay, or are cleared', async () => {
            const key = await make('oauth', { credentials: { ...credentialsOf.oauth, scopes: 'a,b' } });
            const next = { type: 'OAUTH2', client_id: 'next', client_secret: 'next-secret' };
            await patch(key, { credentials: next });
            expect(await credentialsOfKey(key)).toEqual({ ...next, scopes: 'a,b', webhook_secret: null });
            await patch(key, { credentials: { ...next, scopes: '' } });
            expect(await credentialsOfKey(key)).toMatchObject({ scopes: null });
            await patch(key, { credentials: { ...next, scopes: 'c' } });
            expect(await credentialsOfKey(key)).toMatchObject({ scopes: 'c' });
        });

        test.each(['oauth', 'oauth1', 'tba'] as const)('of %s: the webhook secret stays, is set, or is removed', async (provider) => {
            const credentials = credentialsOf[provider];
            const key = await make(provider, { credentials: { ...credentials, webhook_secret: 'first' }, custom: { partner: 'p' } });
            for (const [webhook_secret, expected] of [
                [undefined, 'first'],
                ['second', 'second'],
                ['', null],
                [undefined, null],
            ]) {
                await patch(key, { credentials: { ...credentials, webhook_secret } });
                expect(await credentialsOfKey(key)).toMatchObject({ webhook_secret: expected });
            }
            expect((await config(key))['custom']).toEqual({ partner: 'p' });
        });

        test('of an app: link and key too', async () => {
            for (const provider of ['app', 'custom'] as const) {
                const key = await make(provider, { credentials: credentialsOf[provider] });
                const next = { ...credentialsOf[provider], app_id: '18', app_link: 'https://apps.example.com/18', private_key: pkcs8 };
                expect((await patch(key, { credentials: next })).status).toBe(200);
                expect(await credentialsOfKey(key)).toEqual(next);
            }
        });

        test('may be given to an MCP integration that had none', async () => {
            const key = await make('mcp');
            await patch(key, { credentials: credentialsOf.mcp });
            expect(await credentialsOfKey(key)).toMatchObject(credentialsOf.mcp);
        });

        test('of another type are refused, and nothing is changed', async () => {
            const key = await make('oauth', { credentials: credentialsOf.oauth });
            const answer = await patch(key, { display_name: 'Changed', credentials: credentialsOf.tba });
            expect([answer.status, answer.body]).toEqual([400, refused]);
            expect((await patch(key, {})).body.data).toMatchObject({ display_name: 'Test oauth' });
        });
    });

    describe('settings', () => {
        const start = { keyPlacement: 'header', keyName: 'X-Key', keyLabel: 'Label' };

        test('are merged; only what is submitted is judged', async () => {
            const key = await make('set-up', { integration_config: start });
            const answer = await patch(key, { integration_config: { timeout: '5' } });
            expect([answer.status, answer.body.data['credentials_label']]).toEqual([200, { apiKey: 'Label' }]);
            expect((await config(key))['custom']).toEqual({ ...start, timeout: '5' });
            // Created without any, and given one of them: the others are not demanded now.
            const bare = await make('set-up');
            expect((await patch(bare, { integration_config: { keyLabel: 'Label' } })).status).toBe(200);
        });

        test('an empty one clears what is optional or has a default, and nothing else', async () => {
            const key = await make('set-up', { integration_config: { ...start, timeout: '5' } });
            const answer = await patch(key, { integration_config: { keyLabel: '', timeout: '' } });
            expect([answer.status, answer.body.data]).toEqual([
                200,
                expect.not.objectContaining({ credentials_label: expect.anything() as unknown }),
            ]);
            expect((await config(key))['custom']).toEqual({ keyPlacement: 'header', keyName: 'X-Key' });
            expect((await patch(key, { integration_config: { keyPlacement: '' } })).status).toBe(400);
        });

        test('visibility follows from what is stored and submitted together', async () => {
            const key = await make('set-up', { integration_config: start });
            expect((await patch(key, { integration_config: { keyName: 'no name' } })).status).toBe(400);
            expect((await patch(key, { integration_config: { keyPlacement: 'query', keyName: 'no name' } })).status).toBe(200);
            expect((await config(key))['custom']).toEqual({ ...start, keyPlacement: 'query' });
            expect((await patch(key, { integration_config: { keyName: '' } })).status).toBe(200);
            expect((await config(key))['custom']).toEqual({ keyPlacement: 'query', keyLabel: 'Label' });
        });

        test.each<[string, Body, string]>([
            ['set-up', { integration_config: { colour: 'red' } }, 'colour'],
            ['set-up', { custom: { a: 'b' } }, 'custom'],
            ['keys', { integration_config: { a: 'b' } }, 'integration_config'],
        ])('of %s: %j is refused', async (provider, body, word) => {
            const answer = await patch(await make(provider), body);
            expect([answer.status, answer.body]).toEqual([400, refused]);
            expect(answer.text).toContain(word);
        });
    });

    test('query, body, path, existence, type, key and settings are looked at in this order', async () => {
        const wrong = { credentials: credentialsOf.tba, unique_key: await make('keys'), integration_config: { a: 'b' } };
        const byQuery = await valetkey.call('PATCH', '/integrations/a%2Fb?x=1', { body: { x: 1 } });
        expect([codeOf(byQuery), issues(byQuery)]).toEqual(['invalid_query_params', [['unrecognized_keys', []]]]);
        const byBody = await valetkey.call('PATCH', '/integrations/a%2Fb', { body: { x: 1 } });
        expect([codeOf(byBody), issues(byBody)]).toEqual(['invalid_body', [['unrecognized_keys', []]]]);
        const byPath = await valetkey.call('PATCH', '/integrations/a%2Fb', { body: wrong });
        expect([codeOf(byPath), issues(byPath)]).toEqual(['invalid_uri_params', [['invalid_format', ['uniqueKey']]]]);
        expect(await patch('nothing', wrong)).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
        const key = await make('oauth', { credentials: credentialsOf.oauth });
        expect((await patch(key, wrong)).text).toContain('TBA');
        expect((await patch(key, { ...wrong, credentials: undefined })).text).toContain('unique_key');
        expect((await patch(key, { integration_config: { a: 'b' } })).text).toContain('integration_config');
    });

    test.each<[Body, unknown]>([
        [{ provider: 'keys' }, [['unrecognized_keys', []]]],
        [{ unique_key: '' }, [['invalid_format', ['unique_key']]]],
        [{ display_name: '' }, [['too_small', ['display_name']]]],
        [{ display_name: null }, [['invalid_type', ['display_name']]]],
        [{ forward_webhooks: 'no' }, [['invalid_type', ['forward_webhooks']]]],
        [{ credentials: { type: 'OAUTH2', client_id: 'id' } }, [['invalid_type', ['credentials', 'client_secret']]]],
        [{ custom: { a: null } }, [['invalid_type', ['custom', 'a']]]],
    ])('%j is refused', async (body, expected) => {
        const answer = await patch('whatever', body);
        expect([answer.status, codeOf(answer), issues(answer)]).toEqual([400, 'invalid_body', expected]);
    });

    test('an integration of another environment, or whose provider is gone, is not found', async () => {
        const key = await make('keys');
        expect((await valetkey.call('PATCH', `/integrations/${key}`, { key: valetkey.prodKey, body: {} })).status).toBe(404);
        await valetkey.query(`update integrations set provider = 'vanished' where unique_key = $1`, [key]);
        expect((await patch(key, {})).status).toBe(404);
    });

    test('changes at the same time are all made', async () => {
        const key = await make('keys', { custom: { start: 'here' } });
        const names = Array.from({ length: 8 }, (_, index) => `n${index}`);
        await Promise.all(names.map((name) => patch(key, { custom: { [name]: name } })));
        expect((await config(key))['custom']).toEqual({ start: 'here', ...Object.fromEntries(names.map((name) => [name, name])) });
    });
});

describe('changes one after the other, against a model', () => {
    const value = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.includes('\0'));
    const secret = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });
    const name = fc.constantFrom('a', 'b', 'webhookSecret', 'config', 'app_link', 'constructor');
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const oauth = fc.record({
        client_id: secret,
        client_secret: secret,
        scopes: optional(fc.constantFrom('', 'a', 'a,b')),
        webhook_secret: optional(fc.oneof(fc.constant(''), secret)),
    });
    const change = fc.record({
        display_name: optional(secret),
        forward_webhooks: optional(fc.boolean()),
        credentials: optional(oauth),
        custom: optional(fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true })),
    });

    test('every kind of value stays until it is named', async () => {
        await fc.assert(
            fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
                const model = {
                    display_name: 'Test oauth',
                    forward_webhooks: true,
                    ...credentialsOf.oauth,
                    scopes: '',
                    custom: new Map<string, string>(),
                };
                const key = await make('oauth', { credentials: credentialsOf.oauth });
                for (const { credentials, custom, ...rest } of changes) {
                    Object.assign(model, defined(rest));
                    if (credentials !== undefined) {
                        const { webhook_secret, ...replaced } = credentials;
                        Object.assign(model, defined(replaced));
                        if (webhook_secret === '') model.custom.delete('webhookSecret');
                        else if (webhook_secret !== undefined) model.custom.set('webhookSecret', webhook_secret);
                    }
                    for (const [name, text] of Object.entries(custom ?? {})) model.custom.set(name, text);
                    const body = { ...rest, custom, credentials: credentials && { type: 'OAUTH2', ...credentials } };
                    const answer = await patch(key, body);
                    expect(answer.status, answer.text).toBe(200);
                    expect(answer.body.data).toMatchObject({ display_name: model.display_name, forward_webhooks: model.forward_webhooks });
                }
                expect(await credentialsOfKey(key)).toEqual({
                    type: 'OAUTH2',
                    client_id: model.client_id,
                    client_secret: model.client_secret,
                    scopes: model.scopes || null,
                    webhook_secret: model.custom.get('webhookSecret') || null,
                });
                expect((await config(key))['custom']).toEqual(model.custom.size === 0 ? null : Object.fromEntries(model.custom));
            }),
            { numRuns: 25 },
        );
    });

    test('an app’s members are replaced together, settings are merged beside them', async () => {
        const settings = fc.record({
            keyPlacement: optional(fc.constantFrom('header', 'query')),
            keyLabel: optional(fc.constantFrom('', 'Label', 'Other')),
            timeout: optional(fc.constantFrom('', '1', '60')),
            baseUrl: optional(fc.constantFrom('', 'https://a.example', 'http://b.example/c')),
        });
        await fc.assert(
            fc.asyncProperty(fc.array(settings, { minLength: 1, maxLength: 5 }), async (changes) => {
                const model: Record<string, unknown> = {};
                const key = await make('set-up');
                for (const change of changes) {
                    Object.assign(model, defined(change));
                    const answer = await patch(key, { integration_config: change });
                    expect([answer.status, answer.body.data['credentials_label']]).toEqual([
                        200,
                        model['keyLabel'] ? { apiKey: model['keyLabel'] } : undefined,
                    ]);
                }
                const kept = Object.fromEntries(Object.entries(model).filter(([, text]) => text !== ''));
                expect((await config(key))['custom']).toEqual(Object.keys(kept).length === 0 ? null : kept);
            }),
            { numRuns: 25 },
        );
    });

    const defined = (members: Record<string, unknown>) => Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined));
});

describe('DELETE /integrations/:uniqueKey', () => {
    test('takes its connections along, shreds what they and it kept, and frees the key', async () => {
        const [key, other] = [await make('keys', { custom: { a: 'b' } }), await make('keys')];
        const token = await createSession(valetkey);
        const connections = [await connectKey(valetkey, key, token), await connectKey(valetkey, key, token)];
        const kept = await connectKey(valetkey, other, token);
        const answer = await remove(key);
        expect([answer.status, answer.body]).toEqual([200, { success: true }]);
        const [row] = await valetkey.query(`select deleted_at is not null as deleted, sealed_custom from integrations where unique_key = $1`, [key]);
        expect(row).toEqual({ deleted: true, sealed_custom: null });
        const rows = await valetkey.query(
            `select connection_id, sealed_credentials, sealed_secrets, next_refresh_at, refresh_epoch::int from connections where connection_id = any($1)`,
            [connections],
        );
        expect(
            rows.toSorted((a, b) => connections.indexOf(a['connection_id'] as string) - connections.indexOf(b['connection_id'] as string)),
        ).toEqual(
            connections.map((connection_id) => ({
                connection_id,
                sealed_credentials: '',
                sealed_secrets: null,
                next_refresh_at: null,
                refresh_epoch: 1,
            })),
        );
        const listed = await valetkey.call<{ connections: { connection_id: string }[] }>('GET', `/connections?integrationId=${key},${other}`);
        expect(listed.body.connections.map(({ connection_id }) => connection_id)).toEqual([kept]);
        expect((await remove(key)).status).toBe(404);
        await createIntegration(valetkey, key, 'basic');
        expect(await credentialsOfKey(key)).toBeNull();
    });

    test('tells nobody', async () => {
        const key = await make('keys');
        await connectKey(valetkey, key, await createSession(valetkey));
        const events = () => valetkey.query('select id from webhook_events');
        const before = await events();
        await remove(key);
        expect(await events()).toEqual(before);
    });

    test('leaves no way for an attempt under way to connect', async () => {
        const key = await make('tested');
        const token = await createSession(valetkey);
        const attempt = valetkey.call('POST', `/api-auth/api-key/${key}?connect_session_token=${token}`, { key: null, body: { apiKey: 'a-key' } });
        // The provider is looking at the key.
        await provider.asked.promise;
        expect((await remove(key)).status).toBe(200);
        provider.answer.resolve();
        const answer = await attempt;
        expect([answer.status, codeOf(answer)]).toEqual([404, 'unknown_provider_config']);
        const alive = await valetkey.query(`select c.id from connections c join integrations i on i.id = c.integration_id where i.unique_key = $1`, [
            key,
        ]);
        expect(alive).toEqual([]);
    });

    test('works on one whose provider is gone', async () => {
        const key = await make('keys');
        await valetkey.query(`update integrations set provider = 'vanished' where unique_key = $1`, [key]);
        expect((await remove(key)).body).toEqual({ success: true });
    });

    test('query and path are looked at before it', async () => {
        const byQuery = await remove('a/b', '?x=1');
        expect([byQuery.status, codeOf(byQuery)]).toEqual([400, 'invalid_query_params']);
        const byPath = await remove('a/b');
        expect([byPath.status, codeOf(byPath), issues(byPath)]).toEqual([400, 'invalid_uri_params', [['invalid_format', ['uniqueKey']]]]);
        const elsewhere = await valetkey.call('DELETE', `/integrations/${await make('keys')}`, { key: valetkey.prodKey });
        expect([elsewhere.status, codeOf(elsewhere)]).toEqual([404, 'not_found']);
    });

    test('an empty JSON body, as the official client sends it, is no body', async () => {
        const key = await make('app', { credentials: { ...credentialsOf.app, private_key: pem } });
        const answer = await valetkey.call('DELETE', `/integrations/${key}`, { headers: { 'content-type': 'application/json' } });
        expect(answer.status).toBe(200);
    });
});
