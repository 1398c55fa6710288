import { describe, expect, it } from 'vitest';
import { publicProvider } from '../../src/providers/public-form.ts';
import { makeProvider } from './make-provider.ts';

const logos = 'https://auth.example.com/images/template-logos';

describe('publicProvider', () => {
    it('is the entry with name, docs and logo', () => {
        expect(publicProvider(makeProvider({ categories: ['crm'] }), `${logos}/`)).toEqual({
            display_name: 'Acme',
            auth_mode: 'OAUTH2',
            authorization_url: 'https://acme.example/authorize',
            token_url: 'https://acme.example/token',
            categories: ['crm'],
            name: 'acme',
            docs: '',
            logo_url: `${logos}/acme.svg`,
        });
    });

    it('does not say which code obtains tokens', () => {
        expect(publicProvider(makeProvider({ token_exchange_script: 'slack' }), logos)).not.toHaveProperty('token_exchange_script');
    });

    it('keeps the documentation page of an entry that has one', () => {
        expect(publicProvider(makeProvider({ docs: 'https://acme.example/docs' }), logos).docs).toBe('https://acme.example/docs');
    });

    it('gives every field a title and a description', () => {
        const shown = publicProvider(
            makeProvider({
                connection_config: { region: { type: 'string', title: 'Region', description: 'Where.', optional: true } },
                credentials: { apiKey: { type: 'string', secret: true } },
                integration_config: {},
            }),
            logos,
        );
        expect(shown.connection_config).toEqual({ region: { type: 'string', title: 'Region', description: 'Where.', optional: true } });
        expect(shown.credentials).toEqual({ apiKey: { type: 'string', title: '', description: '', secret: true } });
        expect(shown.integration_config).toEqual({});
        expect(shown).not.toHaveProperty('assertion_option');
    });
});
