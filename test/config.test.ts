import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig, StartupError, type Config } from '../src/config.ts';

const key = (fill: number): string => Buffer.alloc(32, fill).toString('base64');
const uuid = '11111111-2222-4333-8444-555555555555';

function refusal(variables: Record<string, string>): string {
    try {
        loadConfig(variables);
    } catch (error) {
        expect(error).toBeInstanceOf(StartupError);
        return (error as Error).message;
    }
    throw new Error('it was accepted');
}

test('without any variable: an embedded database, offered to this machine only', () => {
    expect(loadConfig({})).toEqual({
        host: '127.0.0.1',
        port: 3003,
        publicUrl: 'http://localhost:3003',
        connectUiUrl: 'http://localhost:3003/connect-ui',
        websocketsPath: '/',
        connectUi: { isServed: true, port: undefined, frameAncestors: ['*'] },
        database: { kind: 'embedded', dataDir: resolve('data') },
        encryptionKeys: undefined,
        secretKeys: new Map(),
        accountKey: undefined,
        providersFile: undefined,
        simulatorPort: 3103,
        isProduction: false,
        egressAllow: [],
        rateLimitPerMinute: 6000,
        credentialTestMs: 86_400_000,
        renewalLogKeptMs: 3 * 86_400_000,
        roles: new Set(['api', 'worker']),
        logLevel: 'info',
        bodyLimitBytes: 75 * 1024 * 1024,
        oauth2TokenMaxLength: 16_384,
        trustedProxies: 0,
        metrics: undefined,
    } satisfies Config);
});

describe('each variable, and each alias', () => {
    const connectUi = { isServed: true, port: undefined, frameAncestors: ['*'] };
    test.each<[string, string, Partial<Config>]>([
        ['PORT', '8080', { port: 8080, publicUrl: 'http://localhost:8080', connectUiUrl: 'http://localhost:8080/connect-ui' }],
        ['SERVER_PORT', '8081', { port: 8081 }],
        ['PORT', '0', { port: 0 }],
        ['HOST', '0.0.0.0', { host: '0.0.0.0' }],
        [
            'VALETKEY_PUBLIC_URL',
            'https://auth.example.com',
            { publicUrl: 'https://auth.example.com', connectUiUrl: 'https://auth.example.com/connect-ui' },
        ],
        ['VALETKEY_PUBLIC_URL', ' https://example.com/auth// ', { publicUrl: 'https://example.com/auth' }],
        ['NANGO_SERVER_URL', 'https://auth.example.com', { publicUrl: 'https://auth.example.com' }],
        ['VALETKEY_CONNECT_UI_URL', 'https://ui.example.com/', { connectUiUrl: 'https://ui.example.com' }],
        ['NANGO_PUBLIC_CONNECT_URL', 'https://ui.example.com', { connectUiUrl: 'https://ui.example.com' }],
        ['VALETKEY_CONNECT_UI_PORT', '3009', { connectUi: { ...connectUi, port: 3009 } }],
        ['NANGO_CONNECT_UI_PORT', '3009', { connectUi: { ...connectUi, port: 3009 } }],
        ['VALETKEY_WEBSOCKETS_PATH', '/ws', { websocketsPath: '/ws' }],
        ['NANGO_SERVER_WEBSOCKETS_PATH', 'ws/', { websocketsPath: '/ws/' }],
        ['VALETKEY_SERVE_CONNECT_UI', 'FALSE', { connectUi: { ...connectUi, isServed: false } }],
        ['FLAG_SERVE_CONNECT_UI', 'false', { connectUi: { ...connectUi, isServed: false } }],
        [
            'VALETKEY_CONNECT_UI_FRAME_ANCESTORS',
            "https://app.example.com, https://*.example.org:8443 'self' capacitor://localhost",
            {
                connectUi: {
                    ...connectUi,
                    frameAncestors: ['https://app.example.com', 'https://*.example.org:8443', "'self'", 'capacitor://localhost'],
                },
            },
        ],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '0', { credentialTestMs: 0 }],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '90m', { credentialTestMs: 5_400_000 }],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '7 D', { credentialTestMs: 604_800_000 }],
        ['VALETKEY_RENEWAL_LOG_KEPT', '15D', { renewalLogKeptMs: 15 * 86_400_000 }],
        ['VALETKEY_OAUTH2_TOKEN_MAX_LENGTH', '32768', { oauth2TokenMaxLength: 32_768 }],
        ['NANGO_SERVER_OAUTH2_TOKEN_MAX_LENGTH', '4096', { oauth2TokenMaxLength: 4096 }],
        ['VALETKEY_DATA_DIR', '/var/lib/valetkey', { database: { kind: 'embedded', dataDir: '/var/lib/valetkey' } }],
        ['DATABASE_URL', 'postgres://u:p@db/vk', { database: { kind: 'postgres', url: 'postgres://u:p@db/vk', poolSize: 10 }, host: '0.0.0.0' }],
        ['VALETKEY_DATABASE_URL', 'postgresql://db/vk', { database: { kind: 'postgres', url: 'postgresql://db/vk', poolSize: 10 } }],
        ['NANGO_DATABASE_URL', 'postgres://db/vk', { database: { kind: 'postgres', url: 'postgres://db/vk', poolSize: 10 } }],
        ['NANGO_DB_HOST', 'db', { database: { kind: 'postgres', url: 'postgres://nango:nango@db:5432/nango', poolSize: 10 } }],
        ['VALETKEY_ENCRYPTION_KEY', key(1), { encryptionKeys: [{ name: 'key 1', key: Buffer.alloc(32, 1) }] }],
        ['NANGO_ENCRYPTION_KEY', key(2), { encryptionKeys: [{ name: 'key 1', key: Buffer.alloc(32, 2) }] }],
        [
            'VALETKEY_ENCRYPTION_KEY',
            `new: ${key(2)}, old:${key(1)}`,
            {
                encryptionKeys: [
                    { name: 'new', key: Buffer.alloc(32, 2) },
                    { name: 'old', key: Buffer.alloc(32, 1) },
                ],
            },
        ],
        ['VALETKEY_SECRET_KEY_PROD', uuid, { secretKeys: new Map([['prod', uuid]]) }],
        ['NANGO_SECRET_KEY_DEV', uuid, { secretKeys: new Map([['dev', uuid]]) }],
        ['VALETKEY_ACCOUNT_KEY', uuid.toUpperCase(), { accountKey: uuid }],
        ['VALETKEY_ACCOUNT_KEY', 'x'.repeat(32), { accountKey: 'x'.repeat(32) }],
        ['VALETKEY_SECRET_KEY_MY_ENV', 'x'.repeat(32), { secretKeys: new Map([['my_env', 'x'.repeat(32)]]) }],
        ['VALETKEY_PROVIDERS', 'my/providers.yaml', { providersFile: resolve('my/providers.yaml') }],
        ['VALETKEY_EGRESS_ALLOW', '10.0.0.0/8, hooks.internal ,', { egressAllow: ['10.0.0.0/8', 'hooks.internal'] }],
        ['VALETKEY_RATE_LIMIT_PER_MIN', '60', { rateLimitPerMinute: 60 }],
        ['DEFAULT_RATE_LIMIT_PER_MIN', '61', { rateLimitPerMinute: 61 }],
        ['VALETKEY_ROLES', 'worker', { roles: new Set(['worker'] as const) }],
        ['VALETKEY_ROLES', ' api , worker ', { roles: new Set(['api', 'worker'] as const) }],
        ['LOG_LEVEL', 'DEBUG', { logLevel: 'debug' }],
        ['VALETKEY_BODY_LIMIT', '5mb', { bodyLimitBytes: 5 * 1024 * 1024 }],
        ['VALETKEY_BODY_LIMIT', '512 KB', { bodyLimitBytes: 512 * 1024 }],
        ['VALETKEY_TRUST_PROXY', '1', { trustedProxies: 1 }],
        ['VALETKEY_METRICS_PORT', '9464', { metrics: { host: '127.0.0.1', port: 9464, labelsProvider: false } }],
        ['VALETKEY_TRUST_PROXY', '10.0.0.0/8, ::1', { trustedProxies: ['10.0.0.0/8', '::1'] }],
        ['NANGO_SERVER_PUBLIC_BODY_LIMIT', '1000', { bodyLimitBytes: 1000 }],
    ])('%s=%s', (name, value, expected) => {
        expect(loadConfig({ [name]: value })).toMatchObject(expected);
    });

    test.each(['VALETKEY_DB_POOL_MAX', 'NANGO_DB_POOL_MAX'])('%s', (name) => {
        expect(loadConfig({ DATABASE_URL: 'postgres://db/vk', [name]: '3' }).database).toMatchObject({ poolSize: 3 });
    });

    test('the parts of a database address are put together, whatever characters they hold', () => {
        const variables = {
            NANGO_DB_HOST: 'db.internal',
            NANGO_DB_PORT: '6432',
            NANGO_DB_USER: 'us er',
            NANGO_DB_PASSWORD: 'p@ss/w:rd?#%41',
            NANGO_DB_NAME: 'my auth',
            NANGO_DB_SSL: 'true',
        };
        const { database } = loadConfig(variables);
        const url = new URL(database.kind === 'postgres' ? database.url : '');
        expect([url.hostname, url.port, url.pathname, url.search]).toEqual(['db.internal', '6432', '/my%20auth', '?sslmode=no-verify']);
        expect([url.username, url.password].map(decodeURIComponent)).toEqual(['us er', 'p@ss/w:rd?#%41']);
        expect(loadConfig({ ...variables, NANGO_DB_SSL: 'false' }).database).not.toMatchObject({ url: expect.stringContaining('sslmode') });
    });

    test('the first name wins over its aliases, an empty one counts as absent', () => {
        expect(loadConfig({ PORT: '1', SERVER_PORT: '2' }).port).toBe(1);
        expect(loadConfig({ PORT: ' ', SERVER_PORT: '2' }).port).toBe(2);
        expect(loadConfig({ DATABASE_URL: '', NANGO_DB_HOST: '' }).database.kind).toBe('embedded');
        expect(loadConfig({ DATABASE_URL: 'postgres://a/b', NANGO_DB_HOST: 'c' }).database).toMatchObject({ url: 'postgres://a/b' });
        const keys = { NANGO_SECRET_KEY_DEV: 'n'.repeat(32), VALETKEY_SECRET_KEY_DEV: 'v'.repeat(32) };
        expect(loadConfig(keys).secretKeys.get('dev')).toBe('v'.repeat(32));
        expect(loadConfig(Object.fromEntries(Object.entries(keys).toReversed())).secretKeys.get('dev')).toBe('v'.repeat(32));
        expect(loadConfig({ VALETKEY_SECRET_KEY_DEV: ' ' }).secretKeys.size).toBe(0);
    });

    test('process.env is read when nothing else is given', () => {
        process.env['VALETKEY_RATE_LIMIT_PER_MIN'] = '77';
        try {
            expect(loadConfig().rateLimitPerMinute).toBe(77);
        } finally {
            delete process.env['VALETKEY_RATE_LIMIT_PER_MIN'];
        }
    });
});

describe('a bad value is one sentence that names its variable', () => {
    test.each([
        ['PORT', 'http', 'port number'],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '30m', 'an hour and more'],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', 'daily', 'an hour and more'],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '-1h', 'an hour and more'],
        ['VALETKEY_CREDENTIAL_TEST_INTERVAL', '24', 'an hour and more'],
        ['VALETKEY_RENEWAL_LOG_KEPT', '0d', '1d to 15d'],
        ['VALETKEY_RENEWAL_LOG_KEPT', '16d', '1d to 15d'],
        ['VALETKEY_RENEWAL_LOG_KEPT', '72h', '1d to 15d'],
        ['PORT', '65536', 'port number'],
        ['PORT', '-1', 'port number'],
        ['PORT', '80.5', 'port number'],
        ['SERVER_PORT', 'x', 'port number'],
        ['VALETKEY_PUBLIC_URL', 'auth.example.com', 'http(s) URL'],
        ['VALETKEY_PUBLIC_URL', 'ftp://auth.example.com', 'http(s) URL'],
        ['NANGO_SERVER_URL', '/auth', 'http(s) URL'],
        ['VALETKEY_CONNECT_UI_URL', 'javascript:alert(1)', 'http(s) URL'],
        ['NANGO_PUBLIC_CONNECT_URL', 'ui', 'http(s) URL'],
        ['VALETKEY_CONNECT_UI_PORT', 'x', 'port number'],
        ['FLAG_SERVE_CONNECT_UI', 'no', 'true or false'],
        ['VALETKEY_WEBSOCKETS_PATH', '/?x', 'a path'],
        ['VALETKEY_CONNECT_UI_FRAME_ANCESTORS', 'app.example.com', 'origins'],
        ['VALETKEY_CONNECT_UI_FRAME_ANCESTORS', "https://a.example; script-src 'unsafe-inline'", 'origins'],
        ['VALETKEY_CONNECT_UI_FRAME_ANCESTORS', ',', 'origins'],
        ['VALETKEY_DB_POOL_MAX', '0', 'whole number'],
        ['NANGO_DB_POOL_MAX', 'many', 'whole number'],
        ['VALETKEY_RATE_LIMIT_PER_MIN', '-5', 'whole number'],
        ['DEFAULT_RATE_LIMIT_PER_MIN', '1.5', 'whole number'],
        ['VALETKEY_ROLES', 'api,cron', 'api, worker'],
        ['VALETKEY_ROLES', ',', 'api, worker'],
        ['LOG_LEVEL', 'loud', 'debug'],
        ['VALETKEY_BODY_LIMIT', '75gb', '75mb'],
        ['NANGO_SERVER_PUBLIC_BODY_LIMIT', 'big', '75mb'],
        ['NANGO_DB_HOST', 'not a host', 'host name'],
    ])('%s=%s', (name, value, expectation) => {
        const message = refusal({ [name]: value });
        expect(message.startsWith(`${name} `)).toBe(true);
        expect(message).toContain(expectation);
        expect(message).toMatch(/^[^\n]+$/);
    });

    test('NANGO_DB_PORT', () => {
        expect(refusal({ NANGO_DB_HOST: 'db', NANGO_DB_PORT: 'x' })).toContain('NANGO_DB_PORT must be a port number');
    });

    // Each holds `hunter2`, which no message may repeat.
    test.each([
        ['DATABASE_URL', 'mysql://root:hunter2@db/vk', 'postgres://user:password@host'],
        ['VALETKEY_DATABASE_URL', 'db:5432 password=hunter2', 'postgres://user:password@host'],
        ['NANGO_DATABASE_URL', 'hunter2', 'postgres://user:password@host'],
        ['VALETKEY_ENCRYPTION_KEY', 'hunter2', 'openssl rand -base64 32'],
        ['NANGO_ENCRYPTION_KEY', Buffer.alloc(31, 'hunter2').toString('base64'), 'openssl rand -base64 32'],
        ['VALETKEY_ENCRYPTION_KEY', `hunter2hunter2:k1`, 'key 1'],
        ['VALETKEY_ENCRYPTION_KEY', `k1:${key(1)},k2:hunter2`, 'key 2'],
        ['VALETKEY_ENCRYPTION_KEY', `${key(1)},`, 'key 2'],
        ['VALETKEY_SECRET_KEY_DEV', 'hunter2', '32 letters'],
        ['VALETKEY_ACCOUNT_KEY', 'hunter2', '32 letters'],
        ['NANGO_SECRET_KEY_PROD', `hunter2-${'x'.repeat(40)} with spaces`, '32 letters'],
    ])('%s never repeats its secret', (name, value, expectation) => {
        const message = refusal({ [name]: value });
        expect(message.startsWith(`${name} `)).toBe(true);
        expect(message).toContain(expectation);
        expect(message).not.toMatch(/hunter2/);
        expect(message).not.toContain(value);
    });
});
