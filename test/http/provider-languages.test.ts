/** The catalogue in the caller's language (http-api §6, catalogue contract 12 and 13). */
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSession } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

interface Shown {
    name: string;
    display_name: string;
    credentials?: Record<string, { title: string; description: string }>;
}

let valetkey: TestApp;

beforeAll(async () => {
    valetkey = await startTestApp();
});
afterAll(() => valetkey?.close());

const read = <Body>(path: string, language?: string, headers: Record<string, string> = {}): Promise<Answer<Body>> =>
    valetkey.call<Body>('GET', path, { headers: { ...(language === undefined ? {} : { 'accept-language': language }), ...headers } });

const texts = [
    ['en', 'API Key', 'A secret key from the API keys page of the OpenAI platform; it starts with sk-.', 'Unauthenticated'],
    ['es', 'Clave de API', 'Una clave secreta de la página de claves de API de la plataforma de OpenAI; empieza por sk-.', 'Sin autenticación'],
    ['fr', 'Clé API', 'Une clé secrète de la page des clés API de la plateforme OpenAI ; commence par sk-.', 'Sans authentification'],
    ['de', 'API-Schlüssel', 'Ein geheimer Schlüssel von der API-Schlüssel-Seite der OpenAI-Plattform; beginnt mit sk-.', 'Ohne Anmeldung'],
] as const;

test.each(texts)('in %s', async (language, title, description, unauthenticated) => {
    const openai = await read<{ data: Shown }>('/providers/openai', language);
    expect(openai.body.data.credentials!['apiKey']).toMatchObject({ title, description });

    const list = await read<{ data: Shown[] }>('/providers', `${language}-XX;q=0.3, pt`);
    expect(list.body.data.find(({ name }) => name === 'openai')).toEqual(openai.body.data);
    expect(list.body.data.find(({ name }) => name === 'unauthenticated')?.display_name).toBe(unauthenticated);

    const search = await read<{ data: Shown[] }>('/providers?search=openai', language);
    expect(search.body.data).toContainEqual(openai.body.data);
    const bySlug = await read<{ data: Shown[] }>('/providers?search=unauthenticated', language);
    expect(bySlug.body.data.map(({ display_name }) => display_name)).toEqual([unauthenticated]);

    for (const answer of [openai, list, search, bySlug]) {
        expect(answer.status).toBe(200);
        expect(answer.headers['content-language']).toBe(language);
        expect(answer.headers['vary']?.split(', ')).toContain('Accept-Language');
    }
});

test('a connect session is answered in its language too', async () => {
    const headers = { 'accept-language': 'fr' };
    const answer = await valetkey.call<{ data: Shown }>('GET', '/providers/openai', { key: await createSession(valetkey), headers });
    expect(answer.body.data.credentials!['apiKey']?.title).toBe('Clé API');
});

test.each([undefined, 'pt-BR', '*', 'de;q=0', 'de;q=x', ';;q=,,', 'constructor'])('%s is answered in English', async (header) => {
    for (const path of ['/providers', '/providers/openai']) {
        const answer = await read(path, header);
        const english = await read(path, 'en');
        expect([answer.headers['content-language'], answer.headers['etag'], answer.text]).toEqual(['en', english.headers['etag'], english.text]);
    }
});

/** As it is sent: compressed where that was asked for. */
const raw = async (path: string, language: string, coding: string, held?: string) => {
    const { statusCode, headers, rawPayload } = await valetkey.app.server.inject({
        url: path,
        headers: {
            authorization: `Bearer ${valetkey.key}`,
            'accept-language': language,
            'accept-encoding': coding,
            ...(held === undefined ? {} : { 'if-none-match': held }),
        },
    });
    const { etag, vary } = headers as Record<string, string>;
    return { status: statusCode, etag: etag!, vary, language: headers['content-language'], coding: headers['content-encoding'], payload: rawPayload };
};

// github asks for nothing, so that its texts are the same everywhere.
test.each(['/providers', '/providers/openai', '/providers/github'])('%s has a tag of its own in each language', async (path) => {
    const tags = await Promise.all(texts.map(async ([language]) => (await raw(path, language, 'identity')).etag));
    expect(new Set(tags).size).toBe(4);
    for (const [index, [language]] of texts.entries()) {
        const own = tags[index]!;
        expect(await raw(path, language, 'identity', tags.join(', '))).toMatchObject({ status: 304, etag: own, language, payload: Buffer.alloc(0) });
        const others = tags.filter((tag) => tag !== own).join(', ');
        expect(await raw(path, language, 'identity', others)).toMatchObject({ status: 200, etag: own, language });
    }
});

test.each(texts.map(([language]) => language))('compressed, %s is the same text under another tag', async (language) => {
    const [plain, compressed] = [await raw('/providers', language, 'identity'), await raw('/providers', language, 'gzip')];
    expect(compressed).toMatchObject({ status: 200, language, coding: 'gzip', vary: 'Accept-Language, Accept-Encoding' });
    expect(compressed.etag).not.toBe(plain.etag);
    expect(gunzipSync(compressed.payload).equals(plain.payload)).toBe(true);
    expect(await raw('/providers', language, 'gzip', compressed.etag)).toMatchObject({ status: 304, vary: 'Accept-Language, Accept-Encoding' });
});

test('the map that anybody may read is in English and does not vary', async () => {
    const answer = await read<Record<string, Shown>>('/providers.json', 'de', { 'accept-encoding': 'identity' });
    expect(answer.body['openai']?.credentials!['apiKey']?.title).toBe('API Key');
    expect([answer.headers['content-language'], answer.headers['vary']]).toEqual([undefined, 'Accept-Encoding']);
});

test('an unknown provider is unknown in every language', async () => {
    for (const [language] of texts) {
        expect((await read('/providers/nobody', language)).status).toBe(404);
    }
});

test('the description of the API names the header', async () => {
    const { body } = await read<{ paths: Record<string, { get: { description: string } }> }>('/openapi.json');
    for (const path of ['/providers', '/providers/{provider}']) {
        expect(body.paths[path]?.get.description).toContain('`Accept-Language`');
    }
});
