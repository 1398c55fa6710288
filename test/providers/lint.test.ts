import { describe, expect, it } from 'vitest';
import { lintCatalogue } from '../../src/providers/lint.ts';
import type { ProviderEntry } from '../../src/providers/provider.ts';

const oauth2: ProviderEntry = {
    display_name: 'Acme',
    auth_mode: 'OAUTH2',
    authorization_url: 'https://acme.example/authorize',
    token_url: 'https://acme.example/token',
};

/** `change` laid over a plain entry: of the mode that it names, else OAUTH2. */
function found(kind: 'errors' | 'warnings', change: Partial<ProviderEntry>): string[] {
    const plain = change.auth_mode === undefined ? oauth2 : { display_name: 'Acme', auth_mode: change.auth_mode };
    return lintCatalogue([{ name: 'acme', entry: { ...plain, ...change } }])[kind].map(({ rule, path }) => `${rule} ${path}`);
}

const field = (more: object): { type: 'string'; title: string } => ({ type: 'string', title: 'Field', ...more });
const proxy = { base_url: 'https://api.acme.example' };

describe('errors', () => {
    it('finds none in a plain entry', () => {
        expect(found('errors', {})).toEqual([]);
    });

    it.each<[string, Partial<ProviderEntry>]>([
        ['A8 token_request_auth_method', { token_request_auth_method: 'private_key_jwt' }],
        ['A8 token_request_auth_method', { auth_mode: 'TWO_STEP', token_request_auth_method: 'basic' }],
        ['A8 body_format', { body_format: 'xml' }],
        ['A8 popup', { auth_mode: 'OAUTH2_CC', popup: { width: 900 } }],
        ['A8 body_format', { auth_mode: 'OAUTH2_CC', body_format: 'xml' }],
        ['A8 disable_pkce', { auth_mode: 'MCP_OAUTH2', disable_pkce: true }],
        ['A8 max_idle', { auth_mode: 'OAUTH2_CC', max_idle: 86_400 }],
        ['A8 max_idle', { auth_mode: 'APP', max_idle: 86_400 }],
        ['A8 token_url', { auth_mode: 'BASIC', token_url: 'https://acme.example/token' }],
        ['A8 credentials', { credentials: { apiKey: field({ secret: true }) } }],
        ['A8 scope_separator', { auth_mode: 'TWO_STEP', scope_separator: ',' }],
        ['A8 refresh_token_params', { refresh_token_params: { a: 'b' } }],
        ['A8 token_headers', { token_headers: { 'x-a': 'b' } }],
        ['A8 token_limits', { auth_mode: 'API_KEY', token_limits: { concurrency: 5 } }],
        ['A8 revocation_auth_method', { revocation_auth_method: 'basic' }],
        ['A8 revocation_ends_all', { revocation_ends_all: true }],
        ['A8 revocation_url', { auth_mode: 'API_KEY', revocation_url: 'https://acme.example/revoke' }],
        ['E05 revocation_url', { revocation_url: 'http://acme.example/revoke' }],
        ['E06 revocation_url', { revocation_url: 'https://${connectionConfig.sub}.acme.example/revoke' }],
        ['E06 token_url', { token_url: 'https://${connectionConfig.sub}.acme.example' }],
        ['E06 proxy.headers.x-team', { proxy: { ...proxy, headers: { 'x-team': '${base64(${connectionConfig.team})}' } } }],
        ['E07 proxy.headers.x-key', { proxy: { ...proxy, headers: { 'x-key': '${credentials.key}' } } }],
        ['E08 token_params.assertion', { token_params: { assertion: '${assertionOption.key}' } }],
        ['E08 token_params.nonce', { token_params: { nonce: '${radnom}' } }],
        ['E08 token_params.nonce', { token_params: { nonce: '${md5(x)}' } }],
        ['E08 token_params.nonce', { token_params: { nonce: '${base64(x}' } }],
        ['E08 token_params.nonce', { token_params: { nonce: 'Bearer ${accessToken' } }],
        ['E08 refresh_params.resource', { refresh_params: { resource: '${nope}' } }],
        ['E08 proxy.headers.x-key', { proxy: { ...proxy, headers: { 'x-key': '{accessToken}' } } }],
        ['E08 token_url', { token_url: 'https://acme.example/${accessToken}' }],
        ['E09 connection_config.a.pattern', { connection_config: { a: field({ pattern: '[' }) } }],
        ['E09 connection_config.a.default_value', { connection_config: { a: field({ pattern: '^a$', default_value: 'b' }) } }],
        ['E09 connection_config.a.default_value', { connection_config: { a: field({ enum: ['a'], default_value: 'b' }) } }],
        ['E10 connection_config.a.visible_when.field', { connection_config: { a: field({ visible_when: { field: 'b', equals: 'c' } }) } }],
        ['E10 post_connection_script', { post_connection_script: 'acmePostConnection' }],
        ['E10 pre_connection_deletion_script', { pre_connection_deletion_script: 'acmePreConnectionDeletion' }],
        ['E10 pre_connection_creation_script', { pre_connection_creation_script: 'acmePreConnectionCreation' }],
        ['E10 credentials_verification_script', { auth_mode: 'BASIC', credentials_verification_script: 'constructor' }],
        ['E10 token_exchange_script', { token_exchange_script: 'acme' }],
        ['E05 authorization_url', { authorization_url: 'http://acme.example/authorize' }],
        ['E05 proxy.verification.endpoints.0', { proxy: { ...proxy, verification: { endpoints: ['/a b'] } } }],
        ['N1 token_url', { token_url: 'https://acme.${connectionConfig.tld}', connection_config: { tld: field({ pattern: '^[a-z]+$' }) } }],
        ['N1 proxy.base_url', { proxy: { base_url: 'https://acme.example:${connectionConfig.port}' }, connection_config: { port: field({}) } }],
        ['R7 token_params.grant_type', { token_params: { grant_type: 'client_credentials' } }],
        ['R7 refresh_params.grant_type', { refresh_params: { grant_type: 'authorization_code' } }],
        ['R7 token_params.grant_type', { auth_mode: 'MCP_OAUTH2', token_params: { grant_type: 'client_credentials' } }],
    ])('%s: %o', (expected, change) => {
        expect(found('errors', change)).toEqual([expected]);
    });

    it('accepts what is declared elsewhere than in the entry', () => {
        expect(
            found('errors', {
                token_response_metadata: ['instance_url'],
                redirect_uri_metadata: ['realm'],
                connection_configuration: ['cloudId'],
                webhook_routing_script: '',
                token_exchange_script: '',
                proxy: {
                    base_url: '${connectionConfig.instance_url}',
                    headers: {
                        'x-a': '${connectionConfig.realm}${connectionConfig.cloudId}',
                        authorization: 'Basic ${base64(${clientId}/token)}',
                    },
                },
            }),
        ).toEqual([]);
    });

    it('accepts the inputs that a mode asks for by itself', () => {
        const headers = { authorization: 'Basic ${base64(${credentials.username}/token)}' };
        expect(found('errors', { auth_mode: 'BASIC', proxy: { ...proxy, headers } })).toEqual([]);
    });

    it('leaves braces in bodies alone', () => {
        const data = { query: 'mutation { signIn(email: "${connectionConfig.email}") { token } }' };
        const verification = { method: 'POST' as const, endpoints: ['/graphql'], data };
        expect(found('errors', { connection_config: { email: field({}) }, proxy: { ...proxy, verification } })).toEqual([]);
    });

    it('knows expressions that other modes evaluate', () => {
        const token_params = { signed: '${sha256Hex(${base64(${now:YYYY-MM-DD[T]HH}${now+7:days:X}${random})})}', step: '${step1.token}' };
        expect(found('errors', { token_params })).toEqual([]);
    });

    describe('a callback value in a token URL (E12)', () => {
        const zoho = {
            token_url: '${connectionConfig.accounts-server}/token || https://accounts.acme.example/token',
            redirect_uri_metadata: ['accounts-server'],
        };

        it('needs a list of choices', () => {
            expect(found('errors', zoho)).toEqual(['E12 connection_config.accounts-server']);
            const declared = field({ enum: ['https://accounts.acme.example', 'https://accounts.acme.eu'] });
            expect(found('errors', { ...zoho, connection_config: { 'accounts-server': declared } })).toEqual([]);
            const foreign = field({ enum: ['https://accounts.acme.example', 'accounts.acme.eu'] });
            expect(found('errors', { ...zoho, connection_config: { 'accounts-server': foreign } })).toEqual(['N1 token_url']);
        });

        it('may be a label in front of a literal domain, but not in front of a mere top-level domain', () => {
            const shop = (token_url: string): string[] => found('errors', { token_url, redirect_uri_metadata: ['shop'] });
            expect(shop('https://${connectionConfig.shop}.acme.example/token')).toEqual([]);
            expect(shop('https://${connectionConfig.shop}.example/token')).toEqual(['E12 connection_config.shop']);
        });

        it('nor may it pick where tokens are revoked', () => {
            const revocation_url = 'https://${connectionConfig.host}/revoke';
            expect(found('errors', { revocation_url, redirect_uri_metadata: ['host'] })).toEqual(['E12 connection_config.host']);
        });

        it('may pick an API host', () => {
            expect(found('errors', { redirect_uri_metadata: ['api'], proxy: { base_url: '${connectionConfig.api}' } })).toEqual([]);
        });
    });

    it('names the entry and what to do', () => {
        const { errors } = lintCatalogue([{ name: 'acme', entry: { ...oauth2, post_connection_script: 'x' } }]);
        expect(errors).toEqual([
            {
                file: '',
                slug: 'acme',
                rule: 'E10',
                path: 'post_connection_script',
                message: 'remove the key or correct its value; there is no code named "x" for it',
            },
        ]);
    });
});

describe('warnings', () => {
    it('need no value of a person in what the server derives or a mode reads by itself', () => {
        expect(found('warnings', { connection_config: { a: field({ automated: true }) } })).toEqual([]);
        const client = { token_url: 'https://acme.example/token', token_params: { grant_type: 'client_credentials' } };
        expect(found('warnings', { auth_mode: 'OAUTH2_CC', ...client, connection_config: { oauth_scopes: field({}) } })).toEqual([]);
        expect(found('warnings', { auth_mode: 'TWO_STEP', credentials: { password: field({ hidden: true, default_value: 'x' }) } })).toEqual([]);
    });

    it('finds none in a plain entry', () => {
        expect(found('warnings', {})).toEqual([]);
    });

    const used = { ...proxy, headers: { 'x-a': '${connectionConfig.a}' } };

    it.each<[string, Partial<ProviderEntry>]>([
        ['W01 proxy.headers.X-Key', { proxy: { ...proxy, headers: { 'X-Key': 'a' } } }],
        ['W02 connection_config.a.pattern', { proxy: used, connection_config: { a: field({ pattern: '[a-z]+' }) } }],
        ['W03 connection_config.a.pattern', { proxy: used, connection_config: { a: field({ pattern: '^[\\w-.]+$' }) } }],
        ['W04 connection_config.a', { connection_config: { a: field({}) } }],
        [
            'W05 connection_config.a',
            { proxy: { base_url: 'https://${connectionConfig.a}' }, connection_config: { a: field({ pattern: '^https://.+$' }) } },
        ],
        ['W06 credentials', { auth_mode: 'TWO_STEP', credentials: { a: field({ order: 1 }), b: field({ order: 1 }) } }],
        ['W07 connection_config.a.title', { proxy: used, connection_config: { a: { type: 'string' } } }],
        ['W08 credentials.apiKey.secret', { auth_mode: 'TWO_STEP', credentials: { apiKey: field({}) } }],
        ['W09 token_params.grant_type', { auth_mode: 'OAUTH2_CC', token_url: 'https://acme.example/token' }],
        ['W10 proxy.paginate.limit_name_in_request', { proxy: { ...proxy, paginate: { type: 'link', link_rel_in_response_header: 'next' } } }],
        ['W11 proxy.verification', { auth_mode: 'BASIC' }],
        ['W12 credentials.a.default_value', { auth_mode: 'TWO_STEP', credentials: { a: field({ hidden: true }) } }],
        ['E10 webhook_routing_script', { webhook_routing_script: 'acmeWebhookRouting' }],
        ['E10 webhook_user_defined_secret', { webhook_user_defined_secret: true }],
        [
            'E11 connection_config.a',
            {
                proxy: { base_url: 'https://${connectionConfig.a}.acme.example/${connectionConfig.b}' },
                connection_config: { a: field({}), b: field({}) },
            },
        ],
        ['E11 connection_config.a', { proxy: { base_url: '${connectionConfig.a}/x' }, connection_config: { a: field({}) } }],
        ['N3 connection_config.a.automated', { token_response_metadata: ['a'], proxy: used, connection_config: { a: field({}) } }],
        ['A8 token_url_skip_encode', { token_url_skip_encode: ['base_url'] }],
        ['A8 decode_url', { decode_url: true }],
        ['A8 proxy.query.sig', { proxy: { ...proxy, query: { sig: '${sha256Hex(${method})}' } } }],
        ['A8 token_params.step', { token_params: { step: '${step1.token}' } }],
        ['A8 token_params.bearer', { token_params: { bearer: '${accessToken}' } }],
    ])('%s', (expected, change) => {
        expect(found('warnings', change)).toEqual([expected]);
        expect(found('errors', change)).toEqual([]);
    });
});
