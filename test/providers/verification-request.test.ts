import { describe, expect, it } from 'vitest';
import type { ProxyEntry } from '../../src/providers/provider.ts';
import { TemplateError } from '../../src/providers/url-template.ts';
import { verificationRequests } from '../../src/providers/verification-request.ts';
import { makeProvider } from './make-provider.ts';

const apiKey = { auth_mode: 'API_KEY' as const, credentials: { apiKey: { type: 'string' as const } } };
const base = { base_url: 'https://api.acme.example/v1/' };

function requests(proxy: ProxyEntry, connectionConfig = {}): unknown[] {
    const provider = makeProvider({ ...apiKey, proxy });
    return verificationRequests(provider, { credentials: { apiKey: 'k&y' }, connectionConfig }).map((request) => ({
        ...request,
        url: request.url.href,
    }));
}

describe('verificationRequests', () => {
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

    it('presents user name and password by default', () => {
        const provider = makeProvider({ auth_mode: 'BASIC', proxy: { ...base, verification: { endpoints: ['me'] } } });
        const [request] = verificationRequests(provider, {
            credentials: { username: 'Aladdin', password: 'open sesame' },
            connectionConfig: {},
        });
        // RFC 7617 §2, the example.
        expect(request?.headers).toEqual({ authorization: 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==' });
        expect(request?.url.href).toBe('https://api.acme.example/v1/me');
    });

    it('lets the entry override the header of the mode, in any case', () => {
        const headers = { Authorization: 'Basic ${base64(${credentials.username}/token:${credentials.password})}' };
        const provider = makeProvider({ auth_mode: 'BASIC', proxy: { ...base, headers, verification: { endpoints: ['/me'] } } });
        const [request] = verificationRequests(provider, { credentials: { username: 'u', password: 'p' }, connectionConfig: {} });
        expect(request?.headers).toEqual({ authorization: `Basic ${btoa('u/token:p')}` });
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
