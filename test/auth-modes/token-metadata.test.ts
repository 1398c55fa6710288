/** Configuration that comes with a token: at connect, and at every renewal, under the same checks (N3, R18). */
import { expect, test } from 'vitest';
import { refreshTokenGrant } from '../../src/auth-modes/oauth2.ts';
import { checkedConfig, derivedFromAnswer, newsAmong } from '../../src/auth-modes/token-metadata.ts';
import type { TokenReceipt } from '../../src/credentials/renewal-strategy.ts';
import { makeProvider } from '../providers/make-provider.ts';
import { contextOf, recordings } from '../providers/exceptions/recordings.ts';
import type { Vendors } from '../providers/exceptions/vendors.ts';

const provider = makeProvider({
    token_response_metadata: ['instance_url', 'team.id', 'isAdmin', 'region'],
    refresh_token_response_metadata: ['restUrl'],
    connection_config: {
        instance_url: { type: 'string', format: 'uri', automated: true },
        region: { type: 'string', enum: ['eu', 'us'], automated: true },
    },
});

test('only what the entry lists is kept, and only what its fields allow', () => {
    const raw = {
        instance_url: 'https://a.example',
        team: { id: 'T1', name: 'Acme' },
        isAdmin: true,
        region: 'mars',
        restUrl: 'https://r.example',
        access_token: 'a',
    };
    expect(derivedFromAnswer(provider, raw)).toEqual({
        instance_url: 'https://a.example',
        'team.id': 'T1',
        isAdmin: true,
        restUrl: 'https://r.example',
    });
    expect(derivedFromAnswer(provider, { instance_url: 'javascript:alert(1)', 'team.id': 'T1', isAdmin: 7 })).toEqual({});
});

test("an exception's own names are kept as they are, those of the entry as its fields allow", () => {
    const own = { access_token: 't' };
    expect(checkedConfig(provider, { botToken: own, region: 'mars', instance_url: 'https://b.example', password: undefined })).toEqual({
        botToken: own,
        instance_url: 'https://b.example',
        password: undefined,
    });
});

test('what is stored already is no news', () => {
    const stored = { a: '1', token: { access_token: 't' } };
    expect(newsAmong({ a: '1', token: { access_token: 't' }, b: undefined }, stored)).toBeUndefined();
    expect(newsAmong({ a: '2', token: { access_token: 't' } }, stored)).toEqual({ a: '2' });
    expect(newsAmong({ a: undefined }, stored)).toEqual({ a: undefined });
});

test('R18: a provider without an exception names another address at a renewal, and the connection follows', () => {
    const recording = { ...recordings.get('salesforce')!, entry: { ...recordings.get('salesforce')!.entry, token_exchange_script: '' } };
    const stored = recording.refresh!.stored!;
    const strategy = refreshTokenGrant(contextOf({} as Vendors, recording), stored);
    const answer = (instance_url: string): TokenReceipt => ({
        status: 200,
        contentType: 'application/json',
        body: JSON.stringify({ access_token: 'a', instance_url }),
        requestedAt: 0,
        receivedAt: 0,
    });
    expect(strategy.interpret(answer('https://moved.my.salesforce.com'), stored).derivedConfig).toEqual({
        instance_url: 'https://moved.my.salesforce.com',
    });
    expect(strategy.interpret(answer('https://acme.my.salesforce.com'), stored)).not.toHaveProperty('derivedConfig');
    expect(strategy.interpret(answer('not a URL\n'.repeat(2_000)), stored)).not.toHaveProperty('derivedConfig');
});
