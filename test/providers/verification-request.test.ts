import { describe, expect, it } from 'vitest';
import { apiRequest } from '../../src/providers/api-request.ts';
import type { Provider, ProxyEntry } from '../../src/providers/provider.ts';
import { TemplateError } from '../../src/providers/url-template.ts';
import { verificationCalls } from '../../src/providers/verification-request.ts';
import { makeProvider } from './make-provider.ts';

const apiKey = { auth_mode: 'API_KEY' as const, credentials: { apiKey: { type: 'string' as const } } };
const base = { base_url: 'https://api.acme.example/v1/' };

function sent(provider: Provider, credentials: Record<string, unknown>, connectionConfig = {}) {
    const values = { credentials, connectionConfig };
    return verificationCalls(provider, values).map((call) => {
        const request = apiRequest(provider, call, { values });
        return { ...request, url: request.url.href };
    });
}

const requests = (proxy: ProxyEntry, connectionConfig = {}): unknown[] =>
    sent(makeProvider({ ...apiKey, proxy }), { apiKey: 'k&y' }, connectionConfig);

describe('verificationCalls', () => {
    it('sends what the github-pat entry says', () => {
        const headers = {
            authorization: 'Bearer ${apiKey}',
            'x-version': '${connectionConfig.version} || 2022-11-28',
            'x-team': '${connectionConfig.team}',
        };
        const proxy = { ...base, headers, verification: { endpoints: ['/user'], headers: { 'content-type': 'application/json' } } };
        expect(requests(proxy)).toEqual([
            {
                method: 'GET',
                url: 'https://api.acme.example/v1/user',
                headers: { authorization: 'Bearer k&y', 'x-version': '2022-11-28', 'content-type': 'application/json' },
                body: undefined,
            },
        ]);
    });

    it('is empty when the entry has no check', () => {
        expect(requests(base)).toEqual([]);
    });

    it('lets the check override the headers of the proxy', () => {
        const proxy = { ...base, headers: { accept: 'a', 'x-a': 'a' }, verification: { endpoints: ['/x'], headers: { accept: 'b' } } };
        expect(requests(proxy)).toMatchObject([{ headers: { accept: 'b', 'x-a': 'a' } }]);
    });

    it('adds query parameters and encodes placeholders of the endpoint', () => {
        const proxy = {
            ...base,
            query: { key: '${apiKey}', team: '${connectionConfig.team}' },
            verification: { endpoints: ['/k/${credentials.apiKey}?limit=1', '/self'] },
        };
        expect(requests(proxy)).toMatchObject([
            { url: 'https://api.acme.example/v1/k/k%26y?limit=1&key=k%26y' },
            { url: 'https://api.acme.example/v1/self?key=k%26y' },
        ]);
    });

    it('puts keys into bodies, beside the data of the check', () => {
        const verification = { method: 'POST' as const, endpoints: ['/search'], data: { query: { all: {} }, limit: 1 } };
        const proxy = { ...base, body: { auth: { key: '${apiKey}', team: '${connectionConfig.team}' } }, verification };
        expect(requests(proxy)).toMatchObject([{ method: 'POST', body: '{"query":{"all":{}},"limit":1,"auth":{"key":"k&y"}}' }]);
    });

    it('writes a form where the check says so, and no body where there is nothing to say', () => {
        const form = { 'content-type': 'application/x-www-form-urlencoded' };
        const verification = { method: 'POST' as const, endpoints: ['/x'], headers: form, data: { key: '${apiKey}', n: 1 } };
        expect(requests({ ...base, verification })).toMatchObject([{ body: 'key=k%26y&n=1' }]);
        expect(requests({ ...base, verification: { method: 'POST', endpoints: ['/x'] } })).toMatchObject([{ body: undefined }]);
        expect(requests({ ...base, body: { key: '${apiKey}' }, verification: { endpoints: ['/x'] } })).toMatchObject([{ body: undefined }]);
    });

    it('uses another host where the check names one', () => {
        const verification = { endpoints: ['/me'], base_url_override: 'https://other.acme.example' };
        expect(requests({ ...base, verification })).toMatchObject([{ url: 'https://other.acme.example/me' }]);
    });

    it('keeps both halves of a base URL', () => {
        const proxy = {
            base_url: 'https://api.${connectionConfig.region}.acme.example || https://api.acme.example',
            verification: { endpoints: ['/me'] },
        };
        expect(requests(proxy)).toMatchObject([{ url: 'https://api.acme.example/me' }]);
        expect(requests(proxy, { region: 'eu' })).toMatchObject([{ url: 'https://api.eu.acme.example/me' }]);
    });

    it('fails with the name of what is missing or wrong', () => {
        const proxy = { base_url: 'https://${connectionConfig.sub}.acme.example', verification: { endpoints: ['/me'] } };
        expect(() => requests(proxy)).toThrow(expect.objectContaining({ code: 'missing_value', field: 'sub' }));
        expect(() => requests(proxy, { sub: 'evil.example/' })).toThrow(TemplateError);
    });
});
