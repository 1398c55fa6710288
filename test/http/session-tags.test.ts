/** Tags of connect sessions: the rules for them, and those generated from the end user (http-api §5.1–§5.3). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { providersFile } from '../e2e/provider-entries.ts';
import { createIntegration, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type TestApp } from './app.ts';
import { create, issues, readSession, tagsOf } from './sessions.ts';

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: providersFile(untestedKeyEntry('keys')) });
    await createIntegration(valetkey, 'keys', 'keys');
});

afterAll(() => valetkey?.close());

describe('tags', () => {
    test.each<[string, Record<string, unknown>, [string, string[]]]>([
        ['eleven', Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, 'x'])), ['custom', ['tags']]],
        ['two that differ in letter case', { team: 'a', Team: 'b' }, ['custom', ['tags']]],
        ['an end_user_email that is none', { End_User_Email: 'nobody' }, ['custom', ['tags']]],
        ['an end_user_email that is too short', { end_user_email: 'a@b' }, ['custom', ['tags']]],
        ['a name that begins with a digit', { '1a': 'x' }, ['invalid_key', ['tags', '1a']]],
        ['a name with a blank', { 'a b': 'x' }, ['invalid_key', ['tags', 'a b']]],
        ['a name of 65', { ['a'.repeat(65)]: 'x' }, ['invalid_key', ['tags', 'a'.repeat(65)]]],
        ['an empty name', { '': 'x' }, ['invalid_key', ['tags', '']]],
        ['an empty value', { a: '' }, ['too_small', ['tags', 'a']]],
        ['a value of 256', { a: 'x'.repeat(256) }, ['too_big', ['tags', 'a']]],
        ['a number', { a: 1 }, ['invalid_type', ['tags', 'a']]],
        ['null', { a: null }, ['invalid_type', ['tags', 'a']]],
        ['a list', { a: ['x'] }, ['invalid_type', ['tags', 'a']]],
    ])('%s: refused', async (_name, tags, expected) => {
        expect(issues(await create(valetkey, { tags }))).toEqual([expected]);
    });

    test('too many are not reported while one of them has the wrong type', async () => {
        const tags = { ...Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, 'x'])), t3: 7 };
        expect(issues(await create(valetkey, { tags }))).toEqual([['invalid_type', ['tags', 't3']]]);
    });

    test('the limits themselves are fine; names are stored in lower case, values as they are', async () => {
        const tags = { ['A'.repeat(64)]: 'X'.repeat(255), 'a-_./9': 'ü ☃ 😀', End_User_Email: 'Ann@Example.com' };
        expect(await tagsOf(valetkey, { tags })).toEqual({
            ['a'.repeat(64)]: 'X'.repeat(255),
            'a-_./9': 'ü ☃ 😀',
            end_user_email: 'Ann@Example.com',
        });
    });

    test('are generated from end user and organization, the end user’s own over those, explicit ones over all', async () => {
        expect(
            await tagsOf(valetkey, {
                end_user: { id: 'u1', email: 'u@example.com', display_name: '', tags: { Plan: 'pro', organization_id: 'own' } },
                organization: { id: 'o1', display_name: 'Org' },
                tags: { plan: 'explicit', end_user_id: 'mine' },
            }),
        ).toEqual({
            end_user_id: 'mine',
            end_user_email: 'u@example.com',
            organization_id: 'own',
            organization_display_name: 'Org',
            plan: 'explicit',
        });
    });

    test('an organization counts without an end user too', async () => {
        expect(await tagsOf(valetkey, { tags: { a: '1' }, organization: { id: 'o1' } })).toEqual({ organization_id: 'o1', a: '1' });
    });

    test('an end user’s own tags are all dropped when they do not fit or one is empty', async () => {
        const nine = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`t${index}`, 'x']));
        expect(await tagsOf(valetkey, { end_user: { id: 'u', tags: nine } })).toEqual({ end_user_id: 'u', ...nine });
        expect(await tagsOf(valetkey, { end_user: { id: 'u', tags: { ...nine, t9: 'x' } } })).toEqual({ end_user_id: 'u' });
        expect(await tagsOf(valetkey, { end_user: { id: 'u', tags: { a: 'x', b: '' } } })).toEqual({ end_user_id: 'u' });
    });

    test('an end user’s own tags keep their case on the end user, and follow the same rules', async () => {
        const token = await createSession(valetkey, { end_user: { id: 'u', tags: { Plan: 'Pro', note: '' } } });
        expect(await readSession(valetkey, token)).toMatchObject({ endUser: { tags: { Plan: 'Pro', note: '' } } });
        expect(issues(await create(valetkey, { end_user: { id: 'u', tags: { a: 'x', A: 'y' } } }))).toEqual([['custom', ['end_user', 'tags']]]);
        expect(issues(await create(valetkey, { end_user: { id: 'u', tags: { '-': 'x' } } }))).toEqual([['invalid_key', ['end_user', 'tags', '-']]]);
    });

    test('explicit and generated ones together beyond ten are a mistake of the request, not of the server', async () => {
        const tags = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`t${index}`, 'x']));
        expect((await create(valetkey, { tags })).status).toBe(201);
        expect(issues(await create(valetkey, { tags, end_user: { id: 'u' } }))).toEqual([['custom', ['tags']]]);
    });
});
