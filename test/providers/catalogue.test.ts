import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CatalogueError, loadCatalogue } from '../../src/providers/catalogue.ts';
import type { Catalogue } from '../../src/providers/catalogue.ts';

let folder: string;

beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'valetkey-catalogue-'));
});

afterEach(() => {
    rmSync(folder, { recursive: true });
});

function file(name: string, content: unknown): string {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
}

const oauth2 = {
    display_name: 'Acme',
    auth_mode: 'OAUTH2',
    authorization_url: 'https://acme.example/authorize',
    token_url: 'https://acme.example/token',
};

function load(builtin: unknown, operator?: unknown, plainHttpHost?: string): Catalogue {
    return loadCatalogue({
        builtin: file('builtin.yaml', builtin),
        operator: operator === undefined ? undefined : file('own.yaml', operator),
        isPlainHttpAllowed: (hostname) => hostname === plainHttpHost,
    });
}

function refusal(act: () => unknown): CatalogueError {
    try {
        act();
    } catch (error) {
        expect(error).toBeInstanceOf(CatalogueError);
        return error as CatalogueError;
    }
    throw new Error('the catalogue was accepted');
}

describe('a good catalogue', () => {
    it('is read from YAML, in file order', () => {
        const catalogue = load('zeta:\n  display_name: Zeta\n  auth_mode: NONE\nalpha:\n  display_name: Alpha\n  auth_mode: NONE\n');
        expect(catalogue.list().map((provider) => provider.name)).toEqual(['zeta', 'alpha']);
        expect(catalogue.get('zeta')).toMatchObject({ name: 'zeta', displayName: 'Zeta', authMode: 'NONE' });
        expect(catalogue.get('constructor')).toBeUndefined();
    });

    it('is read from JSON', () => {
        const catalogue = loadCatalogue({ builtin: file('builtin.json', { acme: oauth2 }), isPlainHttpAllowed: () => false });
        expect(catalogue.get('acme')?.tokenUrl?.build({ connectionConfig: {} }).href).toBe('https://acme.example/token');
    });

    it('compiles the URLs an entry has, and no others', () => {
        const provider = load({ acme: { ...oauth2, proxy: { base_url: 'https://api.acme.example' } } }).get('acme');
        expect(provider?.authorizationUrl?.source).toBe(oauth2.authorization_url);
        expect(provider?.proxyBaseUrl?.source).toBe('https://api.acme.example');
        expect(provider).not.toHaveProperty('refreshUrl');
        expect(provider).not.toHaveProperty('verification');
    });

    it('is frozen to the last leaf', () => {
        const provider = load({ acme: { ...oauth2, token_params: { deep: { er: 'x' } }, default_scopes: ['a'] } }).get('acme');
        const entry = provider?.entry as unknown as {
            token_params: { deep: { er: string } };
            default_scopes: string[];
            display_name: string;
        };
        expect(() => (entry.token_params.deep.er = 'y')).toThrow(TypeError);
        expect(() => entry.default_scopes.push('b')).toThrow(TypeError);
        expect(() => (entry.display_name = 'Evil')).toThrow(TypeError);
        expect(() => Object.assign(provider ?? {}, { name: 'evil' })).toThrow(TypeError);
    });

    it('drops annotations from entries and fields', () => {
        const field = { type: 'string', 'x-origin': 'facts' };
        const entry = load({ acme: { ...oauth2, 'x-own-keys': [], connection_config: { 'x-ray': field } } }).get('acme')?.entry;
        expect(entry).not.toHaveProperty('x-own-keys');
        expect(entry?.connection_config).toEqual({ 'x-ray': { type: 'string' } });
    });
});

describe('aliases', () => {
    it('inherit what they do not set, key by key at the top level', () => {
        const base = {
            ...oauth2,
            proxy: { base_url: 'https://api.acme.example', retry: { after: ['retry-after'] } },
            default_scopes: ['a'],
        };
        const alias = { alias: 'acme', display_name: 'Acme Mail', proxy: { base_url: 'https://mail.acme.example' } };
        const entry = load({ acme: base, 'acme-mail': alias }).get('acme-mail')?.entry;
        expect(entry).toEqual({ ...base, display_name: 'Acme Mail', proxy: { base_url: 'https://mail.acme.example' } });
        expect(entry).not.toHaveProperty('alias');
    });

    it('resolve in any order and depth', () => {
        const catalogue = load({
            third: { alias: 'second', display_name: 'Third' },
            second: { alias: 'first', display_name: 'Second', default_scopes: ['x'] },
            first: oauth2,
        });
        expect(catalogue.get('third')?.entry).toEqual({ ...oauth2, display_name: 'Third', default_scopes: ['x'] });
    });

    it('do not inherit what has no effect in their own mode', () => {
        const key = { alias: 'acme', display_name: 'Acme (Key)', auth_mode: 'API_KEY', credentials: { apiKey: { type: 'string' } } };
        const entry = load({ acme: { ...oauth2, default_scopes: ['a'], docs: 'https://acme.example/docs' }, key }).get('key')?.entry;
        expect(Object.keys(entry ?? {}).toSorted()).toEqual(['auth_mode', 'credentials', 'display_name', 'docs']);
    });

    it('may cancel an inherited text with an empty one', () => {
        const catalogue = load({
            base: { ...oauth2, docs_connect: 'https://acme.example/help' },
            silent: { alias: 'base', display_name: 'Silent', docs_connect: '' },
        });
        expect(catalogue.get('silent')?.entry.docs_connect).toBe('');
    });

    it('are refused in a cycle', () => {
        const act = (): unknown =>
            load({ a: { alias: 'b', display_name: 'A' }, b: { alias: 'c', display_name: 'B' }, c: { alias: 'a', display_name: 'C' } });
        expect(refusal(act).problems).toEqual([expect.objectContaining({ rule: 'E03', path: 'alias', message: 'break the cycle a → b → c → a' })]);
        expect(refusal(() => load({ a: { alias: 'a', display_name: 'A' } })).message).toContain('break the cycle a → a');
    });

    it('are refused without a target', () => {
        const error = refusal(() => load({ a: { alias: 'gone', display_name: 'A' } }));
        expect(error.message).toContain('entry "a", alias: name an entry that exists; there is no "gone" [E03]');
    });

    it('must have all that their mode needs once expanded', () => {
        const error = refusal(() => load({ acme: oauth2, two: { alias: 'acme', display_name: 'Two', auth_mode: 'TWO_STEP' } }));
        expect(error.problems).toEqual([expect.objectContaining({ rule: 'E04', slug: 'two', message: 'add the key "token_response"' })]);
    });
});

describe('an operator file', () => {
    it('replaces an entry whole and in place, and adds its own at the end', () => {
        const own = { acme: { display_name: 'Ours', auth_mode: 'NONE' }, more: { display_name: 'More', auth_mode: 'NONE' } };
        const catalogue = load({ acme: { ...oauth2, default_scopes: ['a'] }, last: { display_name: 'Last', auth_mode: 'NONE' } }, own);
        expect(catalogue.list().map((provider) => provider.name)).toEqual(['acme', 'last', 'more']);
        expect(catalogue.get('acme')?.entry).toEqual({ display_name: 'Ours', auth_mode: 'NONE' });
    });

    it('may alias built-in entries', () => {
        const catalogue = load({ acme: oauth2 }, { ours: { alias: 'acme', display_name: 'Ours', token_url: 'https://ours.example/token' } });
        expect(catalogue.get('ours')?.entry).toEqual({ ...oauth2, display_name: 'Ours', token_url: 'https://ours.example/token' });
    });

    it('is named in what is wrong with it, and never skipped', () => {
        const error = refusal(() => load({ acme: oauth2 }, { ours: { ...oauth2, tokn_url: 'x' } }));
        expect(error.code).toBe('invalid_catalogue');
        expect(error.message).toBe(`${join(folder, 'own.yaml')}, entry "ours": remove the key "tokn_url" or correct its spelling [E01]`);
    });

    it('cannot break a built-in alias silently', () => {
        const error = refusal(() =>
            load({ acme: oauth2, mail: { alias: 'acme', display_name: 'Mail' } }, { acme: { display_name: 'A', auth_mode: 'JWT' } }),
        );
        expect(error.problems[0]).toMatchObject({ slug: 'acme', file: join(folder, 'own.yaml') });
    });
});

describe('files that cannot be used', () => {
    it.each([
        ['broken YAML', 'acme: [unclosed', /own\.yaml: correct the YAML: .+ at line 1/],
        [
            'a duplicate entry',
            'acme:\n  display_name: A\nacme:\n  display_name: B\n',
            /own\.yaml: correct the YAML: Map keys must be unique at line 3/,
        ],
        ['an empty file', '# nothing\n', /own\.yaml: write a map from provider name to entry/],
        ['a list', '- acme\n', /own\.yaml: write a map from provider name to entry/],
        ['an entry that is no map', 'acme: yes\n', /entry "acme": write object here/],
        ['a bad slug', 'Acme_1:\n  display_name: A\n', /entry "Acme_1": name the entry with up to 64 lower-case letters/],
    ])('%s', (_what, content, message) => {
        expect(refusal(() => load({ acme: oauth2 }, content)).message).toMatch(message);
    });

    it('a file that is not there', () => {
        const act = (): unknown => loadCatalogue({ builtin: join(folder, 'none.yaml'), isPlainHttpAllowed: () => false });
        expect(refusal(act).message).toBe(`${join(folder, 'none.yaml')}: make the file readable (ENOENT) [E01]`);
    });

    it('broken JSON', () => {
        const act = (): unknown => loadCatalogue({ builtin: file('builtin.json', '{'), isPlainHttpAllowed: () => false });
        expect(refusal(act).message).toMatch(/builtin\.json: correct the JSON: /);
    });
});

describe('entries that cannot be used', () => {
    it.each([
        ['an unknown key deep inside', { proxy: { base_url: 'https://a.example', retries: 3 } }, 'proxy: remove the key "retries"'],
        ['an unknown key of a field', { connection_config: { a: { type: 'string', patern: 'x' } } }, 'connection_config.a: remove the key "patern"'],
        ['a wrong type', { disable_pkce: 'yes' }, 'disable_pkce: write boolean here'],
        ['an unknown mode', { auth_mode: 'MAGIC' }, 'auth_mode: use one of "API_KEY", '],
        ['a retired mode', { auth_mode: 'APP_STORE' }, 'auth_mode: use the mode JWT; APP_STORE is retired'],
        ['another retired mode', { auth_mode: 'TABLEAU' }, 'auth_mode: use the mode TWO_STEP; TABLEAU is retired'],
        ['a mode without what it needs', { token_url: undefined }, 'entry "acme": add the key "token_url"'],
        ['a URL of another scheme', { token_url: 'ftp://acme.example/x' }, 'token_url: write a URL that starts with https://'],
        ['a field name with a space', { connection_config: { 'a b': { type: 'string' } } }, 'connection_config: write text that matches'],
        [
            'two kinds of check',
            { credentials_verification_script: 'x', proxy: { base_url: 'https://a.example', verification: { endpoints: ['/'] } } },
            'not both',
        ],
    ])('%s', (_what, change, message) => {
        expect(refusal(() => load({ acme: { ...oauth2, ...change } })).message).toContain(message);
    });

    it.each([{ width: 90 }, { height: 700.5 }, { depth: 500 }, {}])('ask for a window that can be opened, not for %o', (popup) => {
        expect(load({ acme: { ...oauth2, popup: { width: 900, height: 700 } } }).get('acme')?.entry.popup).toEqual({ width: 900, height: 700 });
        expect(refusal(() => load({ acme: { ...oauth2, popup } })).problems[0]?.path).toMatch(/^popup/);
    });

    it('are counted in one sentence', () => {
        const error = refusal(() => load({ a: { ...oauth2, x: 1 }, b: { ...oauth2, y: 1 }, c: { ...oauth2, z: 1 } }));
        expect(error.message).toMatch(/entry "a": remove the key "x" or correct its spelling \[E01\] \(and 2 more\)$/);
        expect(error.problems.map((problem) => problem.slug)).toEqual(['a', 'b', 'c']);
    });

    it('are found by the linter too', () => {
        const error = refusal(() => load({ acme: oauth2 }, { ours: { ...oauth2, token_url: 'https://a.${connectionConfig.b}/x' } }));
        expect(error.problems).toEqual([expect.objectContaining({ rule: 'E06', slug: 'ours', path: 'token_url', file: join(folder, 'own.yaml') })]);
    });
});

describe('plain http', () => {
    const local = { ...oauth2, authorization_url: 'http://127.0.0.1:4000/authorize', token_url: 'http://127.0.0.1:4000/token' };

    it('is refused for hosts that are not listed', () => {
        const error = refusal(() => load({ acme: oauth2 }, { local }, 'localhost'));
        expect(error.message).toContain('authorization_url: use https://, or list "127.0.0.1" in VALETKEY_EGRESS_ALLOW');
        expect(error.problems.map((problem) => problem.path)).toEqual(['authorization_url', 'token_url']);
    });

    it('is accepted for hosts that are', () => {
        const provider = load({ acme: oauth2 }, { local }, '127.0.0.1').get('local');
        expect(provider?.tokenUrl?.build({ connectionConfig: {} }).href).toBe('http://127.0.0.1:4000/token');
    });
});
