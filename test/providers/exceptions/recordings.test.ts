/** Every provider with a token exception: what is asked for a code, what for a refresh, and what becomes of the answers (auth-modes §20.2 no. 11). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { oauth2ClientCredentials } from '../../../src/auth-modes/oauth2-cc.ts';
import { obtainByCode, refreshTokenGrant } from '../../../src/auth-modes/oauth2.ts';
import { confirmation } from '../../../src/auth-modes/token-exceptions.ts';
import { refreshTokenOf, type Credentials, type TwoStepCredentials } from '../../../src/credentials/credential.ts';
import type { RenewalStrategy } from '../../../src/credentials/renewal-strategy.ts';
import { tokenExceptions } from '../../../src/providers/exceptions/index.ts';
import { codeGrant, contextOf, recordings, type Recording } from './recordings.ts';
import { fixedSources, startVendors, type Vendors } from './vendors.ts';

let vendors: Vendors;
beforeAll(async () => {
    vendors = await startVendors();
});
afterAll(() => vendors.close());

const asJson = (config: Record<string, unknown> | undefined): unknown =>
    config && JSON.parse(JSON.stringify(config, (_name, value: unknown) => (value === undefined ? null : value)));

function strategyOf(recording: Recording, stored: Credentials, config?: Record<string, unknown>): RenewalStrategy {
    const context = contextOf(vendors, recording, config);
    return recording.entry.auth_mode === 'OAUTH2_CC' ? oauth2ClientCredentials.renewal!(context, stored) : refreshTokenGrant(context, stored);
}

test('all 40 of them are recorded, and every exception is used', () => {
    expect(recordings.size).toBe(40);
    expect(new Set([...recordings.values()].map(({ entry }) => entry.token_exchange_script))).toEqual(new Set(tokenExceptions.keys()));
});

const exchanges = [...recordings].flatMap(([slug, recording]) => (recording.exchange ? [[slug, recording, recording.exchange] as const] : []));
describe('a code', () => {
    test.each(exchanges)('%s', async (_slug, recording, { calls, credentials, config }) => {
        vendors.expectCalls(calls);
        const obtained = await obtainByCode(contextOf(vendors, recording), codeGrant);
        vendors.verify();
        expect(obtained.credentials).toEqual(credentials);
        expect(asJson(obtained.derivedConfig)).toEqual(config ?? {});
        expect(obtained.notes).toBeUndefined();
        const { expires_at } = credentials as { expires_at?: string };
        expect(obtained.expiresAt).toBe(expires_at === undefined ? null : Date.parse(expires_at));
    });
});

const refreshes = [...recordings].flatMap(([slug, recording]) => (recording.refresh ? [[slug, recording, recording.refresh] as const] : []));
describe('a refresh', () => {
    test.each(refreshes)('%s', async (_slug, recording, { stored, calls, credentials, config, connection_config }) => {
        vendors.expectCalls(calls);
        const strategy = strategyOf(recording, stored!, connection_config);
        expect(strategy.canRenew(stored!)).toBe(true);
        const receipt = await strategy.present(stored!, refreshTokenOf(stored!), 20_000);
        vendors.verify();
        // as it comes out of the journal
        const obtained = strategy.interpret(JSON.parse(JSON.stringify(receipt)) as typeof receipt, stored!);
        expect(obtained.credentials).toEqual(credentials);
        expect(asJson(obtained.derivedConfig)).toEqual(config);
        expect(obtained.notes).toBeUndefined();
    });

    test('there is none for TikTok ads: tokens without end, and no refresh token', () => {
        const recording = recordings.get('tiktok-ads')!;
        expect(strategyOf(recording, recording.exchange!.credentials).canRenew(recording.exchange!.credentials)).toBe(false);
    });
});

const confirmations = [...recordings].flatMap(([slug, recording]) =>
    recording.confirmation ? [[slug, recording, recording.confirmation] as const] : [],
);
describe('an introspection', () => {
    test.each(confirmations)('%s', async (_slug, recording, { stored, ...call }) => {
        vendors.expectCalls([call]);
        const credentials = stored ?? recording.refresh!.stored!;
        const { confirm } =
            recording.entry.auth_mode === 'TWO_STEP'
                ? confirmation(contextOf(vendors, recording), (given) => {
                      const { token, clientId, clientSecret, raw } = given as TwoStepCredentials;
                      const client = { id: String(clientId), secret: String(clientSecret) };
                      return { accessToken: token, client, raw: raw as Record<string, unknown> };
                  })
                : strategyOf(recording, credentials);
        expect(await confirm!(credentials, 5_000)).toEqual({ expiresAt: fixedSources.now() + 5_000_000 });
        vendors.verify();
    });

    test('asks all five of the family, and nobody else', () => {
        expect(confirmations.map(([slug]) => slug).toSorted()).toEqual([
            'salesforce',
            'salesforce-cc',
            'salesforce-experience-cloud',
            'salesforce-jwt',
            'salesforce-sandbox',
        ]);
    });
});
