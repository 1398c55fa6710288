/** N2: where a connection chooses the token host, the client secret goes only to listed hosts. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { assertSecretMayGoTo } from '../../src/auth-modes/secret-destination.ts';
import { loadCatalogue } from '../../src/providers/catalogue.ts';

const catalogue = loadCatalogue({ builtin: join(import.meta.dirname, '../../providers.yaml'), isPlainHttpAllowed: () => false });

const judge = (providerName: string, config: Record<string, string>, integration: { allowedHosts: string[] | null; isProduction: boolean }) => {
    const provider = catalogue.get(providerName)!;
    const template = provider.tokenUrl!;
    const { allowedHosts, isProduction } = integration;
    const opened = {
        id: '',
        environmentId: '',
        uniqueKey: 'k',
        clientId: 'id',
        clientSecret: 'secret',
        scopes: null,
        extras: {},
        allowedHosts,
        isProduction,
    };
    return () => assertSecretMayGoTo(template.build({ connectionConfig: config }), template, { provider, integration: opened });
};

describe('Salesforce, whose host is the customer’s own', () => {
    const prod = { allowedHosts: null, isProduction: true };

    test.each(['acme.my.salesforce.com', 'ACME.MY.SALESFORCE.COM', 'acme--sandbox.sandbox.my.salesforce.com'])(
        '%s is below the vendor’s domain',
        (hostname) => {
            expect(judge('salesforce', { hostname }, prod)).not.toThrow();
        },
    );

    test.each(['evil.example', 'salesforce.com.evil.example', 'notsalesforce.com', 'evilsalesforce.com'])(
        '%s is not, in any environment',
        (hostname) => {
            expect(judge('salesforce', { hostname }, prod)).toThrow('allowed_hosts');
            expect(judge('salesforce', { hostname }, { allowedHosts: null, isProduction: false })).toThrow('allowed_hosts');
        },
    );

    test('without a host the vendor’s own login is used', () => {
        expect(judge('salesforce', {}, prod)).not.toThrow();
    });

    test('the integration’s own list takes the place of the catalogue’s', () => {
        const own = { allowedHosts: ['login.partner.example'], isProduction: true };
        expect(judge('salesforce', { hostname: 'login.partner.example' }, own)).not.toThrow();
        expect(judge('salesforce', { hostname: 'acme.my.salesforce.com' }, own)).toThrow('allowed_hosts');
    });
});

test('a label in front of a literal suffix chooses no host', () => {
    expect(judge('zendesk', { subdomain: 'acme' }, { allowedHosts: null, isProduction: true })).not.toThrow();
});
