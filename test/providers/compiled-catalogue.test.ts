import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CatalogueError, loadCatalogue } from '../../src/providers/catalogue.ts';
import type { Catalogue } from '../../src/providers/catalogue.ts';
import { compileBuiltin } from '../../src/providers/compiled-catalogue.ts';

let folder: string;
let builtin: string;
let compiled: string;

const acme = (text = ''): string => `acme:
  display_name: Acme
  categories: [other]
  auth_mode: OAUTH2
  authorization_url: https://acme.example/authorize
  token_url: https://acme.example/token
${text}
acme-mail:
  alias: acme
  display_name: Acme Mail
`;

beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'valetkey-compiled-'));
    builtin = join(folder, 'providers.yaml');
    compiled = join(folder, 'dist', 'catalogue.json');
    writeFileSync(builtin, acme());
});

afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
});

function load(operator?: string): Catalogue {
    const own = operator === undefined ? undefined : join(folder, 'own.yaml');
    if (own !== undefined) writeFileSync(own, operator ?? '');
    return loadCatalogue({ builtin, compiled, operator: own, isPlainHttpAllowed: () => false });
}

describe('the compiled form', () => {
    it('is made by the first load, whole, and read by the next', () => {
        expect(load().entries()).toHaveLength(2);
        expect(readdirSync(join(folder, 'dist'))).toEqual(['catalogue.json']);
        const made = statSync(compiled).mtimeMs;
        // Only the compiled form can say this.
        writeFileSync(compiled, readFileSync(compiled, 'utf8').replace('"Acme Mail"', '"Acme Post"'));
        expect(load().get('acme-mail')?.displayName).toBe('Acme Post');
        expect(statSync(compiled).mtimeMs).toBeGreaterThanOrEqual(made);
    });

    it('says the same as the file it was made from', () => {
        const fromFile = loadCatalogue({ builtin, isPlainHttpAllowed: () => false }).entries();
        expect(load().entries()).toEqual(fromFile);
        expect(load().entries()).toEqual(fromFile);
    });

    it('is made anew when the file has changed', () => {
        load();
        writeFileSync(builtin, acme().replace('Acme Mail', 'Acme Post'));
        expect(load().get('acme-mail')?.displayName).toBe('Acme Post');
    });

    it.each(['', 'x', '{}', '\n[]'])('is made anew when it reads %o', (text) => {
        mkdirSync(join(folder, 'dist'));
        writeFileSync(compiled, text);
        expect(load().entries()).toHaveLength(2);
        expect(readFileSync(compiled, 'utf8').length).toBeGreaterThan(100);
    });

    it('is made anew when it was cut short', () => {
        load();
        const whole = readFileSync(compiled, 'utf8');
        writeFileSync(compiled, whole.slice(0, -20));
        expect(load().entries()).toHaveLength(2);
        expect(readFileSync(compiled, 'utf8')).toBe(whole);
    });

    it('is done without where it cannot be written', () => {
        writeFileSync(join(folder, 'dist'), 'a file in the place of the folder');
        expect(load().entries()).toHaveLength(2);
        expect(existsSync(compiled)).toBe(false);
    });

    it('is not made from an entry that breaks a rule', () => {
        writeFileSync(builtin, acme('  token_headers: {x-a: b}'));
        expect(() => load()).toThrow(CatalogueError);
        expect(() => load()).toThrow('entry "acme", token_headers: remove the key; it has no effect in the mode OAUTH2 [A8]');
        expect(existsSync(compiled)).toBe(false);
    });

    it('is not made from an entry that switches PKCE off without a reason (S4)', () => {
        writeFileSync(builtin, acme('  disable_pkce: true'));
        expect(() => compileBuiltin(builtin, compiled)).toThrow('entry "acme", disable_pkce: say in "x-disable-pkce" why PKCE is switched off [S4]');
        writeFileSync(builtin, acme("  x-disable-pkce: the vendor's server answers invalid_request\n  disable_pkce: true"));
        expect([...compileBuiltin(builtin, compiled).keys()]).toEqual(['acme', 'acme-mail']);
        expect(load().get('acme')?.entry).not.toHaveProperty('x-disable-pkce');
    });
});

describe('beside the compiled form', () => {
    it('the entries of an operator are judged at every load', () => {
        load();
        expect(() => load('ours: {display_name: Ours, auth_mode: API_KEY}')).toThrow('entry "ours": add the key "credentials" [E01]');
        expect(() => load('ours: {alias: acme, display_name: Ours, token_headers: {x-a: b}}')).toThrow('[A8]');
        expect(load('ours: {alias: acme-mail, display_name: Ours}').get('ours')?.tokenUrl?.source).toBe('https://acme.example/token');
    });

    it('so is what rests on something that an operator replaced', () => {
        load();
        const replaced = 'acme: {display_name: Ours, auth_mode: JWT, signature: {protocol: RSA}, token: {expires_in_ms: 1000}, credentials: {}}';
        expect(() => load(replaced)).toThrow(CatalogueError);
        expect(load('acme: {display_name: Ours, auth_mode: NONE}').get('acme-mail')?.authMode).toBe('NONE');
    });
});
