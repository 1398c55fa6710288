/** What a filled-in form becomes, mode by mode (frontend contract §1.6, §3.4). */
import { describe, expect, test } from 'vitest';
import type { Presets, Provider } from '../../src/ui/connect/api-types.ts';
import { initialValues } from '../../src/ui/connect/fields.ts';
import { submissionOf, type Submission, type Values } from '../../src/ui/connect/submission.ts';
import { formOf, madeUpProvider } from './forms.ts';

const flowId = '0d9f0b5e-0000-4000-8000-000000000001';

interface Situation {
    presets?: Presets;
    extraParams?: Values;
    returnsToPage?: boolean;
    integrationKey?: string;
}

function submit(entry: Partial<Provider>, typed: Values = {}, { presets, ...more }: Situation = {}): Submission | undefined {
    const provider = madeUpProvider(entry);
    const fields = formOf(provider, presets === undefined ? {} : { presets });
    const values = { ...initialValues(fields), ...typed };
    return submissionOf({ provider, fields, values, integrationKey: 'acme', sessionToken: 'tok', flowId, ...more });
}

const query = 'acme?connect_session_token=tok';

describe('modes that are called', () => {
    const login = { 'credentials.username': 'u', 'credentials.password': 'p' };
    test.each<[string, Partial<Provider>, Values, string, unknown]>([
        ['API_KEY', {}, { 'credentials.apiKey': ' k ' }, 'api-auth/api-key', { apiKey: 'k' }],
        ['BASIC', { auth_mode: 'BASIC' }, login, 'api-auth/basic', { username: 'u', password: 'p' }],
        ['SIGNATURE', { auth_mode: 'SIGNATURE' }, login, 'auth/signature', { username: 'u', password: 'p', type: 'SIGNATURE' }],
        [
            'OAUTH2_CC',
            { auth_mode: 'OAUTH2_CC' },
            { 'credentials.client_id': 'i', 'credentials.client_secret': 's' },
            'oauth2/auth',
            { client_id: 'i', client_secret: 's' },
        ],
        [
            'TBA',
            { auth_mode: 'TBA' },
            { 'credentials.token_id': 'i', 'credentials.token_secret': 's' },
            'auth/tba',
            { token_id: 'i', token_secret: 's' },
        ],
        [
            'BILL',
            { auth_mode: 'BILL' },
            { ...login, 'credentials.organization_id': 'o', 'credentials.dev_key': 'd' },
            'auth/bill',
            { username: 'u', password: 'p', organization_id: 'o', dev_key: 'd' },
        ],
        ['AWS_SIGV4', { auth_mode: 'AWS_SIGV4' }, { 'credentials.role_arn': 'arn' }, 'auth/aws-sigv4', { role_arn: 'arn' }],
        [
            'JWT',
            { auth_mode: 'JWT', credentials: { privateKeyId: {}, privateKey: {} } },
            { 'credentials.privateKeyId': 'i', 'credentials.privateKey': 'a\nb' },
            'auth/jwt',
            { privateKeyId: 'i', privateKey: 'a\nb', type: 'JWT' },
        ],
        [
            'TWO_STEP, even when it looks like client credentials',
            { auth_mode: 'TWO_STEP', credentials: { client_id: {}, client_secret: {} }, assertion_option: { key: {} } },
            { 'credentials.client_id': 'i', 'credentials.client_secret': 's', 'assertion_option.key': 'k' },
            'auth/two-step',
            { client_id: 'i', client_secret: 's', type: 'TWO_STEP', assertionOption: { key: 'k' } },
        ],
        [
            'TWO_STEP without an assertion',
            { auth_mode: 'TWO_STEP', credentials: { user: {} } },
            { 'credentials.user': 'u' },
            'auth/two-step',
            { user: 'u', type: 'TWO_STEP' },
        ],
        ['NONE', { auth_mode: 'NONE' }, {}, 'auth/unauthenticated', undefined],
        ['OAUTH2, installed by the vendor', { auth_mode: 'OAUTH2', installation: 'outbound' }, {}, 'auth/oauth-outbound', undefined],
    ])('%s', (_, entry, typed, path, body) => {
        expect(submit(entry, typed)).toEqual({ kind: 'call', path: `${path}/${query}`, body });
    });
});

describe('modes that open a window', () => {
    test.each(['OAUTH1', 'OAUTH2', 'APP', 'CUSTOM', 'MCP_OAUTH2', 'MCP_OAUTH2_GENERIC', 'INSTALL_PLUGIN'])('%s', (auth_mode) => {
        expect(submit({ auth_mode })).toEqual({ kind: 'window', path: `oauth/connect/${query}&flow_id=${flowId}` });
    });

    test('with parameters, in a tab that comes back', () => {
        const made = submit(
            { auth_mode: 'OAUTH2', connection_config: { 'sub.domain': {} } },
            { 'params.sub.domain': 'a&b #c' },
            { returnsToPage: true },
        );
        expect(made).toEqual({
            kind: 'window',
            path: `oauth/connect/${query}&flow_id=${flowId}&return_to=page&params%5Bsub.domain%5D=a%26b%20%23c`,
        });
    });

    test('an own OAuth app travels in a body, with what was filled in of it', () => {
        const presets = { oauth_client_id_override: '', oauth_client_secret_override: '' };
        expect(submit({ auth_mode: 'OAUTH2' }, { 'credentials.oauth_client_id_override': 'mine' }, { presets })).toEqual({
            kind: 'prepared',
            body: { provider_config_key: 'acme', params: {}, credentials: { oauth_client_id_override: 'mine' }, flow_id: flowId },
        });
    });

    test('left empty, it is the integration’s app', () => {
        expect(submit({ auth_mode: 'OAUTH2' }, {}, { presets: { oauth_client_id_override: '' } })).toMatchObject({ kind: 'window' });
    });
});

describe('what is sent of a field', () => {
    const entry: Partial<Provider> = {
        auth_mode: 'NONE',
        connection_config: {
            blank: { optional: true },
            meant: { default_value: '' },
            constant: { hidden: true, default_value: 'x' },
            unset: { hidden: true },
            site: { prefix: 'https://', suffix: '.acme.com' },
            mine: { automated: true },
        },
    };
    const paramsOf = (submission: Submission | undefined): Record<string, string> => {
        const path = submission?.kind === 'call' ? submission.path : '';
        const pairs = [...new URLSearchParams(path.split('?')[1])].filter(([name]) => name.startsWith('params['));
        return Object.fromEntries(pairs.map(([name, value]) => [name.slice('params['.length, -1), value]));
    };

    test('blanks are left out unless they are the default; affixes are not part of a value', () => {
        expect(paramsOf(submit(entry, { 'params.site': 'https://shop.acme.com/home' }))).toEqual({ meant: '', constant: 'x', site: 'shop' });
    });

    test('presets go along, but for those that the server keeps to itself', () => {
        const presets = { blank: 'set', site: '********' };
        expect(paramsOf(submit(entry, {}, { presets }))).toEqual({ blank: 'set', meant: '', constant: 'x' });
    });

    test('the key of the integration is one segment of the path', () => {
        expect(submit({ auth_mode: 'NONE' }, {}, { integrationKey: 'my app~/x', extraParams: { external_id: 'e' } })).toMatchObject({
            path: 'auth/unauthenticated/my%20app~%2Fx?connect_session_token=tok&params%5Bexternal_id%5D=e',
        });
    });
});

test('a mode from the future cannot be submitted', () => {
    expect(submit({ auth_mode: 'TELEPATHY' })).toBeUndefined();
});
