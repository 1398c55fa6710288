/**
 * Every auth mode keeps the same promises (auth-modes §1.1, §19.6, §20.2 no. 9), whatever it is made of: connected over HTTP against
 * an offline twin that knows nothing of the modes. How single entries differ is `test/walk`; how a mode works inside, its own tests.
 */
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { authModes } from '../../../src/auth-modes/index.ts';
import { everyTwin, type Fault } from '../../../src/simulator/faults.ts';
import { buildTwinServer } from '../../../src/simulator/server.ts';
import { Simulator } from '../../../src/simulator/simulator.ts';
import { systemSources } from '../../../src/sources.ts';
import { createSession } from '../../http/accounts.ts';
import { startTestApp, type TestApp } from '../../http/app.ts';
import { eventually } from '../../e2e/valetkey.ts';
import { freePort } from '../../peers/free-port.ts';
import { Injection } from '../../walk/injection.ts';
import { connect, connectWith, expectRefusal, Failed, type Visit } from '../../walk/ways.ts';
import { fixtures } from './modes.ts';

interface Connection {
    connection_id: string;
    credentials: Record<string, unknown>;
    connection_config: Record<string, unknown>;
    metadata: unknown;
    tags: Record<string, string>;
}

/** Modes, as these providers have them, in which nobody looks at what is typed in. */
const unproved = ['NONE', 'TBA', 'JWT'];

let simulator: Simulator;
let twins: ReturnType<typeof buildTwinServer>;
let valetkey: TestApp;
let injection: Injection;

/** Valetkey and the providers live in the same time; both skip what a test skips. */
let skipped = 0;
const advance = (ms: number): void => {
    skipped += ms;
    valetkey.advance(ms);
};

beforeAll(async () => {
    const port = await freePort();
    const sources = { ...systemSources, now: () => systemSources.now() + skipped };
    const valetkeyUrl = `http://127.0.0.1:${port}`;
    simulator = await Simulator.open({ sources, catalogueFiles: [join(import.meta.dirname, '../../../providers.yaml')], valetkeyUrl });
    twins = buildTwinServer(simulator);
    await twins.listen({ host: '127.0.0.1', port: 0 });
    const twinServer = new URL(`http://127.0.0.1:${(twins.server.address() as AddressInfo).port}`);
    valetkey = await startTestApp({
        twinServer,
        // between a refusal and its confirmation
        waits: { 1_000: 10 },
        env: { VALETKEY_PUBLIC_URL: valetkeyUrl, VALETKEY_RATE_LIMIT_PER_MIN: '1000000' },
    });
    injection = await Injection.open(valetkey, twinServer, sources);
});

afterAll(async () => {
    await injection?.close();
    await valetkey?.close();
    await twins?.close();
});

test('every mode has a fixture, and every fixture a mode', () => {
    expect(Object.keys(fixtures).toSorted()).toEqual([...authModes.keys()].toSorted());
    const catalogue = new Set([...simulator.catalogue.values()].map(({ auth_mode }) => auth_mode));
    expect([...catalogue].toSorted()).toEqual([...authModes.keys()].toSorted());
});

describe.each(Object.entries(fixtures))('%s', (mode, fixture) => {
    const slug = fixture.provider;
    const isRedirect = authModes.get(mode)?.redirect !== undefined;
    let visit: Visit;
    let id: string;

    const rows = () =>
        valetkey.query<{ connection_id: string; credentials_version: number }>(
            `select c.connection_id, c.credentials_version from connections c join integrations i on i.id = c.integration_id
             where i.unique_key = $1 and c.deleted_at is null order by c.created_at`,
            [slug],
        );
    const read = (query = '', connection = id) => valetkey.call<Connection>('GET', `/connections/${connection}?provider_config_key=${slug}${query}`);
    const secretOf = ({ credentials: { access_token, token, session_id, access_key_id } }: Connection): unknown =>
        access_token ?? token ?? session_id ?? access_key_id;
    const withFault = async <T>(fault: Fault, act: () => Promise<T>): Promise<T> => {
        // All of them: vendors share hosts, and one twin would stand in for another.
        simulator.switches.set(everyTwin, fault, true);
        try {
            return await act();
        } finally {
            simulator.switches.set(everyTwin, fault, false);
        }
    };
    const presets = () => {
        const { presets: connection_config } = simulator.world.samples.of(slug);
        return Object.keys(connection_config).length === 0 ? {} : { integrations_config_defaults: { [slug]: { connection_config } } };
    };

    beforeAll(async () => {
        visit = { valetkey, slug, mode, samples: simulator.world.samples.of(slug) };
        await connect(visit);
        const [row] = await rows();
        id = row!.connection_id;
    });

    beforeEach(() => simulator.activity.clear());

    test('connected, it reads back with the credentials of its type, member for member', async () => {
        const { status, body } = await read('&refresh_token=true');
        expect(status).toBe(200);
        const members = Object.keys(body.credentials);
        expect(members.filter((name) => !fixture.members.includes(name))).toEqual([]);
        expect(fixture.members.filter((name) => !members.includes(name) && !fixture.optional?.includes(name))).toEqual([]);
        // Without being asked for, no refresh token leaves.
        expect((await read()).text).not.toMatch(/"refresh_token"/);
    });

    test('what is wrong, or refused: an answer that says so, and no connection (A1)', async () => {
        if (isRedirect) {
            const token = await createSession(valetkey, { tags: {}, allowed_integrations: [slug], ...presets() });
            const failure: unknown = await withFault('deny', () => connectWith(visit, token)).catch((error: unknown) => error);
            expect(failure).toBeInstanceOf(Failed);
            expect(String(failure)).toMatch(/did not grant access|sent no installation_id/);
        } else if (fixture.isProved) {
            await expectRefusal(visit);
        } else {
            expect(unproved).toContain(mode);
        }
        expect(await rows()).toHaveLength(1);
    });

    test.each(['error', 'rate_limited', 'redirect'] as const)('an outage (%s): an answer, and no connection', async (fault) => {
        const token = await createSession(valetkey, { tags: {}, allowed_integrations: [slug], ...presets() });
        if (!fixture.isProved) {
            // Nobody is asked, so nobody can be down.
            await withFault(fault, () => connectWith(visit, token));
            const [, another] = await rows();
            await valetkey.call('DELETE', `/connections/${another!.connection_id}?provider_config_key=${slug}`);
            return;
        }
        const failure: unknown = await withFault(fault, () => connectWith(visit, token)).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(Failed);
        expect(String(failure)).not.toMatch(/generic_error_support|unexpected/);
        expect(await rows()).toHaveLength(1);
    });

    // Of the modes whose credentials are tested; the others have no such case.
    describe.each(fixture.isTested ? ['where the environment keeps what cannot be tested (A3)'] : [])('%s', () => {
        const keep = (accept: boolean) => valetkey.call('PATCH', '/environment', { body: { accept_unverified_credentials: accept } });
        beforeAll(() => keep(true));
        afterAll(() => keep(false));

        test.each(['error', 'rate_limited'] as const)('an outage (%s): a connection like any other, and a warning', async (fault) => {
            const token = await createSession(valetkey, { tags: {}, allowed_integrations: [slug], ...presets() });
            await withFault(fault, () => connectWith(visit, token));
            const [, another] = await rows();
            const [proved, kept] = [await read(), await read('', another!.connection_id)];
            expect([kept.status, Object.keys(kept.body.credentials)]).toEqual([200, Object.keys(proved.body.credentials)]);
            expect(kept.body).toMatchObject({ errors: [] });
            const log = await valetkey.query(
                `select state, level, message from operations where action = 'create_connection' and connection_id = $1`,
                [another!.connection_id],
            );
            expect(log).toEqual([
                { state: 'success', level: 'warn', message: expect.stringMatching(/^Connection created, untested: .* could not be asked/) as string },
            ]);
            await valetkey.call('DELETE', `/connections/${another!.connection_id}?provider_config_key=${slug}`);
        });

        test('what is wrong is refused all the same, and an answer that is no answer too', async () => {
            if (isRedirect) {
                const { integration: custom } = visit.samples;
                await valetkey.call('PATCH', `/integrations/${slug}`, { body: { custom: { ...custom, password: `${custom['password']}-wrong` } } });
                const token = await createSession(valetkey, { tags: {}, allowed_integrations: [slug], ...presets() });
                const failure: unknown = await connectWith(visit, token).catch((error: unknown) => error);
                await valetkey.call('PATCH', `/integrations/${slug}`, { body: { custom } });
                expect(String(failure)).toContain('rejected these credentials');
            } else {
                await expectRefusal(visit);
            }
            const token = await createSession(valetkey, { tags: {}, allowed_integrations: [slug], ...presets() });
            await expect(withFault('redirect', () => connectWith(visit, token))).rejects.toThrow(/did not confirm/);
            expect(await rows()).toHaveLength(1);
        });
    });

    test('connected again: the same connection, with its metadata and tags (A2)', async () => {
        const metadata = { plan: 'gold' };
        await valetkey.call('POST', '/connections/metadata', { body: { connection_id: id, provider_config_key: slug, metadata } });
        const { body: session } = await valetkey.call<{ data: { token: string } }>('POST', '/connect/sessions/reconnect', {
            body: { connection_id: id, integration_id: slug, ...presets() },
        });
        const before = (await read()).body.tags;
        await connectWith(visit, session.data.token);
        expect(await rows()).toMatchObject([{ connection_id: id }]);
        expect((await read()).body).toMatchObject({ connection_id: id, metadata, tags: before });
    });

    test(`forced: ${fixture.renewal === 'none' ? 'what there is' : 'another token'}`, async () => {
        const before = await read();
        const [row] = await rows();
        advance(2_000);
        const after = await read('&force_refresh=true');
        expect([before.status, after.status]).toEqual([200, 200]);
        if (fixture.renewal === 'none') {
            expect(after.body.credentials).toEqual(before.body.credentials);
        } else {
            expect(secretOf(after.body)).not.toBe(secretOf(before.body));
        }
        // R8: what is signed here is never written.
        const isWritten = fixture.renewal === 'refresh token' || fixture.renewal === 'repeated';
        expect(await rows()).toMatchObject([{ credentials_version: row!.credentials_version + (isWritten ? 1 : 0) }]);
    });

    test('past its expiry, a read brings a token that is good', async () => {
        const before = await read();
        const { expires_at: expiry } = before.body.credentials;
        expect(expiry === undefined).toBe(fixture.renewal === 'none');
        if (expiry === undefined) return;
        advance(Date.parse(expiry as string) - (Date.now() + skipped));
        const after = await read();
        expect(after.status).toBe(200);
        expect(secretOf(after.body)).not.toBe(secretOf(before.body));
    });

    test('an outage at its renewal is put down to the host that was called, where one is (R10)', async () => {
        await withFault('error', () => read('&force_refresh=true'));
        const called = simulator.activity.list().map(({ address }) => address.split('/')[0]);
        const isRenewedAtProvider = fixture.renewal === 'refresh token' || fixture.renewal === 'repeated';
        const failing = (): Promise<{ host: string }[]> => valetkey.query('select host from token_hosts');
        if (!isRenewedAtProvider) {
            expect(await failing()).toEqual([]);
            return;
        }
        await eventually(async () => expect(await failing()).toEqual([{ host: called.at(-1) }]));
        // and an answer clears it
        expect((await read('&force_refresh=true')).status).toBe(200);
        await eventually(async () => expect(await failing()).toEqual([]));
    });

    test('an API call with it is taken by the provider', async () => {
        const { body } = await read('&refresh_token=true');
        // BILL has no header of its own (webhooks-proxy §3.4), and these others no API in the catalogue.
        const hasNone = ['BILL', 'NONE', 'MCP_OAUTH2', 'MCP_OAUTH2_GENERIC'].includes(mode);
        expect(hasNone || (await injection.call(slug, body))).toBe(true);
    });

    test(`${fixture.imported ? 'imported, it can be read' : 'not a type of the import'}`, async () => {
        const { credentials, connectionConfig, presets: preset } = visit.samples;
        const type = mode === 'MCP_OAUTH2_GENERIC' ? 'OAUTH2' : mode;
        const own = (await read('&refresh_token=true')).body.connection_config;
        const answer = await valetkey.call<Connection>('POST', '/connections', {
            body: {
                provider_config_key: slug,
                connection_id: `imported-${slug}`,
                credentials: fixture.imported?.(credentials) ?? { type },
                connection_config: { ...own, ...connectionConfig, ...preset },
            },
        });
        if (fixture.imported === undefined) {
            expect(answer.status, answer.text).toBe(400);
            return;
        }
        expect(answer.status, answer.text).toBe(201);
        expect((await read('', `imported-${slug}`)).status).toBe(200);
    });

    test('deleted, it is gone', async () => {
        const path = `/connections/${id}?provider_config_key=${slug}`;
        expect((await valetkey.call('DELETE', path)).status).toBe(200);
        expect((await read()).status).toBe(404);
        expect(await valetkey.call('DELETE', path)).toMatchObject({ status: 400, body: { error: { code: 'unknown_connection' } } });
    });
});
