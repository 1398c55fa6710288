/** Who is asked about a token, and what an answer, or none, means (R14, RFC 7662). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { confirmByIntrospection } from '../../src/auth-modes/introspection.ts';
import { obtainByCode } from '../../src/auth-modes/oauth2.ts';
import { salesforce } from '../../src/providers/exceptions/salesforce.ts';
import { codeGrant, contextOf, recordings } from '../providers/exceptions/recordings.ts';
import { now, startVendors, type RecordedCall, type Vendors } from '../providers/exceptions/vendors.ts';

let vendors: Vendors;
beforeAll(async () => {
    vendors = await startVendors();
});
afterAll(() => vendors.close());

const recording = recordings.get('salesforce')!;
const question = recording.confirmation!;

const ask = async (response: RecordedCall['response'] | null, raw: Record<string, unknown> = {}, allowedHosts: readonly string[] | null = null) => {
    vendors.expectCalls(response === null ? [] : [{ ...question, response }]);
    const context = contextOf(vendors, recording);
    const integration = { ...context.integration, allowedHosts };
    const token = { accessToken: 'access-1', client: { id: 'client-1', secret: 'secret-1' }, raw };
    const said = await confirmByIntrospection({ ...context, integration }, salesforce.introspection, token, 5_000);
    vendors.verify();
    return said;
};

test.each([
    [{ active: true, exp: now / 1000 + 60 }, { expiresAt: now + 60_000 }],
    [{ active: false }, 'inactive'],
    [{ active: true }, 'unknown'],
    [{ active: true, exp: 'soon' }, 'unknown'],
    [{ exp: now / 1000 + 60 }, 'unknown'],
    [{ error: 'invalid_client' }, 'unknown'],
    ['<html>', 'unknown'],
])('%j means %j', async (body, said) => {
    expect(await ask({ status: 200, body })).toEqual(said);
});

test.each([503, 401, 302, 404])('a %i is no answer', async (status) => {
    expect(await ask({ status, body: '' })).toBe('unknown');
});

test.each([
    'https://evil.example',
    'https://salesforce.com.evil.example',
    'https://evilsalesforce.com',
    'https://evil.example/.salesforce.com',
    'not a URL',
])('an instance at %s is not told the secret', async (instance_url) => {
    expect(await ask(null, { instance_url })).toBe('unknown');
});

test("the integration's own list of hosts counts before the vendor's", async () => {
    expect(await ask(null, {}, ['other.my.salesforce.com'])).toBe('unknown');
    expect(await ask({ status: 200, body: { active: false } }, {}, ['acme.my.salesforce.com'])).toBe('inactive');
});

test('a code is exchanged although nobody can be asked for the lifetime', async () => {
    const [token, introspection] = recording.exchange!.calls;
    vendors.expectCalls([token!, { ...introspection!, response: { status: 500, body: {} } }]);
    const failed = await obtainByCode(contextOf(vendors, recording), codeGrant);
    vendors.verify();
    expect([failed.expiresAt, failed.notes, failed.derivedConfig]).toEqual([null, undefined, { instance_url: 'https://acme.my.salesforce.com' }]);

    const elsewhere = { ...(token!.response.body as object), instance_url: 'https://evil.example' };
    vendors.expectCalls([{ ...token!, response: { status: 200, body: elsewhere } }]);
    expect((await obtainByCode(contextOf(vendors, recording), codeGrant)).expiresAt).toBeNull();
    vendors.verify();
});
