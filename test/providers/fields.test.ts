import { describe, expect, it } from 'vitest';
import {
    checkConnectionConfig,
    checkCredentials,
    checkDerivedConfig,
    missingConnectionConfig,
    trimCredentials,
    withDefaults,
} from '../../src/providers/fields.ts';
import type { ConfigOrigin } from '../../src/providers/fields.ts';
import type { ProviderField } from '../../src/providers/provider.ts';
import { makeProvider } from './make-provider.ts';

function field(more: Partial<ProviderField> = {}): ProviderField {
    return { type: 'string', ...more };
}

function check(fields: Record<string, ProviderField>, values: Record<string, unknown>, origin: ConfigOrigin = 'browser'): unknown {
    const { values: kept, issues } = checkConnectionConfig(makeProvider({ connection_config: fields }), values, origin);
    return issues.length > 0 ? issues.map(({ code, path }) => `${code} ${path.join('.')}`) : kept;
}

describe('the rules of a field', () => {
    it('trims, then checks', () => {
        expect(check({ a: field({ pattern: '^[a-z]+$' }) }, { a: '  acme ' })).toEqual({ a: 'acme' });
    });

    it.each<[Partial<ProviderField>, string, string | undefined]>([
        [{ enum: ['eu', 'au'] }, 'eu', undefined],
        [{ enum: ['eu', 'au'] }, 'us', 'invalid_value'],
        [{ pattern: '^[a-z]+$' }, 'A', 'invalid_format'],
        [{ pattern: '[a-z]' }, '1a1', undefined],
        [{ format: 'hostname' }, 'acme.example', undefined],
        [{ format: 'hostname' }, 'acme.example/x', 'invalid_format'],
        [{ format: 'hostname' }, 'acmé.example', 'invalid_format'],
        [{ format: 'uri' }, 'https://acme.example/x', undefined],
        [{ format: 'uri' }, 'acme.example', 'invalid_format'],
        [{ format: 'uri' }, 'javascript:alert(1)', 'invalid_format'],
        [{ format: 'uuid' }, '01890a5d-ac96-774b-bcce-b302099a8057', undefined],
        [{ format: 'uuid' }, '01890a5d', 'invalid_format'],
        [{ format: 'email' }, 'a+b@acme.example', undefined],
        [{ format: 'email' }, 'acme.example', 'invalid_format'],
        [{}, 'x'.repeat(4096), undefined],
        [{}, 'x'.repeat(4097), 'too_big'],
    ])('%o and %s: %s', (rule, value, code) => {
        expect(check({ a: field(rule) }, { a: value })).toEqual(code ? [`${code} a`] : { a: value });
    });

    it('lets a private key be longer, unless a pattern has to run on it', () => {
        const values = { private_key: 'x'.repeat(16_384) };
        expect(check({ private_key: field() }, values)).toEqual(values);
        expect(check({ private_key: field() }, { private_key: 'x'.repeat(16_385) })).toEqual(['too_big private_key']);
        expect(check({ private_key: field({ pattern: '^x+$' }) }, values)).toEqual(['too_big private_key']);
    });

    it('tells a person what to do, without the value', () => {
        const fields = { region: field({ title: 'Region', enum: ['eu', 'au'] }), sub: field({ pattern: '^[a-z]+$', example: 'acme' }) };
        const { issues } = checkConnectionConfig(makeProvider({ connection_config: fields }), { region: 'zz-secret', sub: 'ZZ-SECRET' }, 'browser');
        expect(issues.map(({ message }) => message)).toEqual(['Region ("region") must be one of eu, au.', '"sub" must be written like acme.']);
    });

    it('does not hang on an operator pattern that backtracks without end', () => {
        const provider = makeProvider({ connection_config: { a: field({ pattern: '^(a+)+$' }) } }, { isBuiltin: false });
        const { issues } = checkConnectionConfig(provider, { a: `${'a'.repeat(60)}!` }, 'browser');
        expect(issues).toMatchObject([{ code: 'invalid_format', path: ['a'] }]);
        expect(checkConnectionConfig(provider, { a: 'aaa' }, 'browser').issues).toEqual([]);
    });
});

describe('values that end in a URL', () => {
    const entry = {
        token_url: 'https://${connectionConfig.subdomain}.acme.example/token',
        connection_config: { subdomain: field({ pattern: '^.*$' }) },
    };

    it.each(['evil.com/#', 'evil.com?', 'evil.com\\', 'a@evil.com', '169.254.169.254#'])(
        'refuse %s at the door, whatever the pattern says',
        (subdomain) => {
            for (const origin of ['browser', 'backend'] as const) {
                const { values, issues } = checkConnectionConfig(makeProvider(entry), { subdomain }, origin);
                expect(issues).toMatchObject([{ code: 'invalid_format', path: ['subdomain'] }]);
                expect(issues[0]?.message).not.toContain(subdomain);
                expect(values).toEqual({});
            }
        },
    );

    it('pass when they fit', () => {
        expect(checkConnectionConfig(makeProvider(entry), { subdomain: 'acme' }, 'browser')).toEqual({
            values: { subdomain: 'acme' },
            issues: [],
        });
    });
});

describe('what a browser may not set (N3)', () => {
    const provider = makeProvider({
        token_response_metadata: ['instance_url', 'team.id'],
        redirect_uri_metadata: ['realmId'],
        webhook_response_metadata: ['installation.uuid'],
        connection_configuration: ['cloudId'],
        connection_config: { token: field({ automated: true }), instance_url: field() },
    });

    it.each([
        'instance_url',
        'team.id',
        'realmId',
        'installation.uuid',
        'cloudId',
        'token',
        'pending',
        'pendingLog',
        'installation_id',
        'app_id',
        'handle',
        'jwtToken',
        'userCredentials',
        'appPublicLink',
        'oauth_client_secret',
        'sharepointAccessToken',
        'botFrameworkAccessToken',
        'oauth_metadata',
        'oauth_client_info',
        'oauth_code_verifier',
        'overrideTokenRefresh',
    ])('%s', (name) => {
        const { values, issues } = checkConnectionConfig(provider, { [name]: 'https://evil.example' }, 'browser');
        expect(values).toEqual({});
        expect(issues).toMatchObject([{ code: 'custom', path: [name] }]);
    });

    it('includes the prototype, for everyone', () => {
        const values = JSON.parse('{"__proto__":"x"}') as Record<string, unknown>;
        for (const origin of ['browser', 'backend'] as const) expect(checkConnectionConfig(provider, values, origin).issues).toHaveLength(1);
    });

    it('is ignored when empty', () => {
        expect(checkConnectionConfig(provider, { instance_url: '', token: ' ', pending: '' }, 'browser')).toEqual({
            values: {},
            issues: [],
        });
    });

    it('may come from a backend, under the same field rules', () => {
        const given = { realmId: '1', pending: true, token: 'x', instance_url: 'https://a.example' };
        expect(checkConnectionConfig(provider, given, 'backend')).toEqual({ values: given, issues: [] });
        const urls = makeProvider({ token_response_metadata: ['api'], proxy: { base_url: '${connectionConfig.api}' } });
        expect(checkConnectionConfig(urls, { api: 'http://evil.example' }, 'backend').issues).toMatchObject([{ path: ['api'] }]);
    });
});

describe('undeclared names', () => {
    it('keep their text from a browser, and any JSON from a backend', () => {
        const given = { note: ' as is ', empty: '', list: ['a'], deep: { a: 1 }, webhook_url: 'https://x.example' };
        expect(check({}, given)).toEqual({ note: ' as is ', empty: '' });
        expect(check({}, given, 'backend')).toEqual({ note: ' as is ', empty: '', list: ['a'], deep: { a: 1 } });
    });

    it('are capped in length', () => {
        expect(check({}, { note: 'x'.repeat(4097) })).toEqual(['too_big note']);
    });
});

describe('types', () => {
    it('a declared value is text, or a number from a backend', () => {
        expect(check({ a: field() }, { a: ['x'] })).toEqual(['invalid_type a']);
        expect(check({ a: field() }, { a: 7 })).toEqual(['invalid_type a']);
        expect(check({ a: field({ pattern: '^\\d+$' }) }, { a: 7 }, 'backend')).toEqual({ a: 7 });
        expect(check({ a: field({ pattern: '^[a-z]+$' }) }, { a: 7 }, 'backend')).toEqual(['invalid_format a']);
        expect(check({ a: field() }, { a: true }, 'backend')).toEqual(['invalid_type a']);
    });
});

describe('defaults', () => {
    const fields = { region: field({ default_value: 'us', enum: ['us', 'eu'] }), note: field({ default_value: '', hidden: true }) };

    it('fill in what a browser left out', () => {
        expect(check(fields, {})).toEqual({ region: 'us', note: '' });
        expect(check(fields, { region: '' })).toEqual({ region: 'us', note: '' });
        expect(check(fields, { region: 'eu', note: 'x' })).toEqual({ region: 'eu', note: 'x' });
    });

    it('do not cover a typed value through session defaults', () => {
        expect(check(fields, {}, 'backend')).toEqual({});
        expect(withDefaults(makeProvider({ connection_config: fields }), { region: 'eu' })).toEqual({ region: 'eu', note: '' });
    });

    it('are not applied to what the server derives', () => {
        const provider = makeProvider({ token_response_metadata: ['api'], connection_config: { api: field({ default_value: 'x' }) } });
        expect(checkConnectionConfig(provider, {}, 'browser').values).toEqual({});
    });
});

describe('missingConnectionConfig', () => {
    const provider = makeProvider({
        authorization_url: 'https://${connectionConfig.sub}.acme.example/authorize',
        token_url: 'https://${connectionConfig.own}/token || https://${connectionConfig.region}.acme.example/token',
        authorization_params: { tenant: '${connectionConfig.tenant}', prompt: 'consent', n: 1 },
        token_params: { nested: { aud: '${base64(${connectionConfig.audience})}' } },
        token_response_metadata: ['api', 'shared'],
        connection_config: {
            ...Object.fromEntries(['sub', 'own', 'region', 'tenant', 'audience', 'listed', 'header', 'path'].map((name) => [name, field()])),
            opt: field({ optional: true }),
            auto: field({ automated: true }),
            hid: field({ hidden: true }),
        },
        proxy: {
            base_url: '${connectionConfig.api}',
            headers: {
                a: '${connectionConfig.header}',
                b: '${connectionConfig.opt}${connectionConfig.auto}${connectionConfig.hid}',
                c: '${connectionConfig.shared}',
            },
            connection_config: { listed: '${connectionConfig.listed}' },
            verification: { endpoints: ['/${connectionConfig.path}'] },
        },
    });

    it('names what has no value', () => {
        expect(missingConnectionConfig(provider, {}).toSorted()).toEqual(['audience', 'header', 'listed', 'path', 'region', 'sub', 'tenant']);
        const most = { audience: 'a', header: 'h', listed: 'l', path: 'p', region: '', sub: 's' };
        expect(missingConnectionConfig(provider, most).toSorted()).toEqual(['region', 'tenant']);
    });
});

describe('checkCredentials', () => {
    const apiKey = makeProvider({ auth_mode: 'API_KEY', credentials: { apiKey: field({ title: 'Key', pattern: '^sk_[a-z]+$' }) } });

    it('applies the field rules to the trimmed value', () => {
        expect(checkCredentials(apiKey, { apiKey: ' sk_abc\n' })).toEqual([]);
        expect(trimCredentials({ apiKey: ' sk_abc\n' })).toEqual({ apiKey: 'sk_abc' });
        expect(checkCredentials(apiKey, { apiKey: 'pk_SECRET' })).toEqual([
            { code: 'invalid_format', path: ['apiKey'], message: 'Key ("apiKey") is not written as expected.' },
        ]);
    });

    it('asks for what is missing', () => {
        for (const values of [{}, { apiKey: '' }, { apiKey: ' ' }]) {
            expect(checkCredentials(apiKey, values as Record<string, string>)).toEqual([
                { code: 'custom', path: ['apiKey'], message: 'Key ("apiKey") is required.' },
            ]);
        }
    });

    it('accepts an empty value where the entry does, or says nothing', () => {
        const stripe = makeProvider({
            auth_mode: 'BASIC',
            credentials: { username: field(), password: field({ hidden: true, default_value: '' }) },
        });
        expect(checkCredentials(stripe, { username: 'rk', password: '' })).toEqual([]);
        expect(checkCredentials(makeProvider({ auth_mode: 'BASIC' }), { username: '', password: '' })).toEqual([]);
    });

    it('refuses what no header can carry', () => {
        const basic = makeProvider({ auth_mode: 'BASIC' });
        expect(checkCredentials(basic, { username: 'a\r\nX-Evil: 1', password: 'b\u0000c' }).map(({ path }) => path)).toEqual([
            ['username'],
            ['password'],
        ]);
    });

    it('caps lengths', () => {
        const basic = makeProvider({ auth_mode: 'BASIC' });
        expect(checkCredentials(basic, { username: 'x'.repeat(4097), password: '' })).toMatchObject([{ code: 'too_big', path: ['username'] }]);
    });
});

describe('checkDerivedConfig', () => {
    const entry = {
        token_response_metadata: ['instance_url', 'team.id', 'flag', 'count'],
        redirect_uri_metadata: ['realmId'],
        proxy: { base_url: '${connectionConfig.instance_url}' },
        connection_config: { realmId: field({ pattern: '^\\d+$' }), instance_url: field({ automated: true }) },
    };
    const provider = makeProvider(entry);

    it('keeps listed names with text or booleans', () => {
        const values = {
            instance_url: 'https://eu.acme.example',
            'team.id': 'T1',
            flag: false,
            realmId: '12',
            other: 'x',
            access_token: 'secret',
        };
        expect(checkDerivedConfig(provider, values)).toEqual({
            values: { instance_url: 'https://eu.acme.example', 'team.id': 'T1', flag: false, realmId: '12' },
            issues: [],
        });
    });

    it('keeps each source to its own list', () => {
        const values = { instance_url: 'https://evil.example', realmId: '12' };
        expect(checkDerivedConfig(provider, values, 'callback')).toEqual({ values: { realmId: '12' }, issues: [] });
        expect(checkDerivedConfig(provider, values, 'token_response').values).toEqual({ instance_url: 'https://evil.example' });
        expect(checkDerivedConfig(provider, values, 'webhook').values).toEqual({});
    });

    it('drops what breaks a rule, and says so without the value', () => {
        const values = { instance_url: 'https://user@evil.example', realmId: 'abc', count: 7, 'team.id': 'x'.repeat(4097) };
        const { values: kept, issues } = checkDerivedConfig(provider, values);
        expect(kept).toEqual({});
        expect(issues.map(({ code, path }) => `${code} ${path[0]}`)).toEqual([
            'invalid_format instance_url',
            'invalid_format realmId',
            'invalid_type count',
            'too_big team.id',
        ]);
        expect(JSON.stringify(issues)).not.toContain('evil');
    });

    it('lets a value pick the host of a token URL from a list only (E12)', () => {
        const token_url = '${connectionConfig.server}/token || https://acme.example/token';
        const open = makeProvider({ token_url, token_response_metadata: ['server'] });
        expect(checkDerivedConfig(open, { server: 'https://acme.example' }).issues).toMatchObject([{ code: 'invalid_value', path: ['server'] }]);
        const closed = makeProvider({
            token_url,
            redirect_uri_metadata: ['server'],
            connection_config: { server: field({ enum: ['https://acme.eu'] }) },
        });
        expect(checkDerivedConfig(closed, { server: 'https://acme.eu' }).values).toEqual({ server: 'https://acme.eu' });
        expect(checkDerivedConfig(closed, { server: 'https://evil.example' }).issues).toHaveLength(1);
    });

    it('lets a callback supply a label in front of the literal domain of the vendor', () => {
        const shop = makeProvider({ token_url: 'https://${connectionConfig.shop}.acme.example/token', redirect_uri_metadata: ['shop'] });
        expect(checkDerivedConfig(shop, { shop: 'mine' }).values).toEqual({ shop: 'mine' });
        expect(checkDerivedConfig(shop, { shop: 'evil.com/#' }).issues).toHaveLength(1);
    });
});
