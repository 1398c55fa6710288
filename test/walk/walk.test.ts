/**
 * Every provider of the catalogue, through Valetkey's own API, against its twin: connected, read, renewed where there is something
 * to renew with, and its API called. The twins are strict, and know nothing of Valetkey: what they refuse is a mistake on one side or the other.
 */
import { writeSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Entry } from '../../src/simulator/entry.ts';
import { buildTwinServer } from '../../src/simulator/server.ts';
import { Simulator } from '../../src/simulator/simulator.ts';
import { systemSources } from '../../src/sources.ts';
import { startTestApp, type TestApp } from '../http/app.ts';
import { freePort } from '../peers/free-port.ts';
import { Injection, type Connected } from './injection.ts';
import { connect, expectRefusal, Failed, walkedModes } from './ways.ts';

/** Entries that cannot be walked, each with its reason. */
const unwalked: Readonly<Record<string, string>> = {
    'sentry-oauth': 'the vendor starts the flow, by a webhook: test/e2e/outbound.test.ts',
    'lovable-mcp': 'the server fetches a document from a public https address, which a test has none of: test/e2e/mcp-known.test.ts',
};

/** Modes whose connecting is a login. */
const provesItself: ReadonlySet<string> = new Set(['OAUTH2_CC', 'TWO_STEP', 'BILL', 'AWS_SIGV4']);
const isVerified = ({ auth_mode, proxy, ...entry }: Entry): boolean =>
    ['API_KEY', 'BASIC', 'JWT', 'SIGNATURE', 'TBA'].includes(auth_mode) &&
    (proxy?.verification !== undefined || 'credentials_verification_script' in entry);

/** Entries whose API is not called, each with its reason. */
const uncalled: Readonly<Record<string, string>> = {
    bill: 'callers send session and developer key themselves (webhooks-proxy §3.4)',
    'bill-sandbox': 'callers send session and developer key themselves (webhooks-proxy §3.4)',
    docuware: 'the login’s last step, whose address an answer names, stands for the whole host at its twin',
    klicktipp: 'the entry names no place for its key',
    'private-api-generic': 'where the key goes is a setting of the integration, which its twin does not know',
    'sage-200': 'its integrator presets the edition',
    'veeva-vault-oauth': 'the address of its token, which a person types in, stands for the whole host at its twin',
};

/** Their renewal makes the same token last longer (auth-modes §17.4). */
const prolonged: ReadonlySet<string> = new Set(['coros', 'coros-sandbox']);

/** Refusals that were asked for: the challenge that names an MCP server's metadata (RFC 9728 §5.1), and CDW's word on an empty order. */
const isAsked = (mode: string, slug: string, call: { status: number }): boolean =>
    (mode === 'MCP_OAUTH2_GENERIC' && call.status === 401) || (slug === 'cdw' && call.status === 400);

interface Row {
    slug: string;
    mode: string;
    passed: boolean;
    /** What was done, or why not. */
    says: string;
}

let simulator: Simulator;
let twins: ReturnType<typeof buildTwinServer>;
let valetkey: TestApp;
let injection: Injection;
/** Calls to twins in the operation log. */
let logged = 0;

beforeAll(async () => {
    const port = await freePort();
    const valetkeyUrl = `http://127.0.0.1:${port}`;
    simulator = await Simulator.open({ sources: systemSources, catalogueFiles: [join(import.meta.dirname, '../../providers.yaml')], valetkeyUrl });
    twins = buildTwinServer(simulator);
    await twins.listen({ host: '127.0.0.1', port: 0 });
    const twinServer = new URL(`http://127.0.0.1:${(twins.server.address() as AddressInfo).port}`);
    valetkey = await startTestApp({ twinServer, env: { VALETKEY_PUBLIC_URL: valetkeyUrl, VALETKEY_RATE_LIMIT_PER_MIN: '1000000' } });
    injection = await Injection.open(valetkey, twinServer);
});

afterAll(async () => {
    await injection?.close();
    await valetkey?.close();
    await twins?.close();
});

interface Read extends Connected {
    connection_id: string;
}

async function read(slug: string, id: string, query = ''): Promise<Read> {
    const { status, text, body } = await valetkey.call<Read>('GET', `/connections/${id}?provider_config_key=${slug}${query}`);
    if (status !== 200) throw new Failed(`reading failed: ${status} ${text}`);
    return body;
}

const tokenIn = ({ credentials: { access_token, token, session_id, access_key_id } }: Read): unknown =>
    access_token ?? token ?? session_id ?? access_key_id;

/** Renewed without a refresh token: by the same login, grant or signature again. */
const repeated: ReadonlySet<string> = new Set(['OAUTH2_CC', 'TWO_STEP', 'BILL', 'AWS_SIGV4', 'APP', 'CUSTOM']);

/** Whatever a twin was sent or has issued for this entry: as it is read, typed in, or set at the integration. */
function secretsOf(slug: string, connections: readonly Read[]): string[] {
    const { credentials, integration } = simulator.world.samples.of(slug);
    const { client_secret = '', private_key = '' } = integration;
    const texts = (value: unknown): string[] => {
        if (typeof value === 'string') return [value];
        return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];
    };
    const all = [...Object.values(credentials), client_secret, private_key, ...connections.flatMap((connection) => texts(connection.credentials))];
    // What is shorter, an address, a host or a time is no secret of a twin.
    return [...new Set(all)].filter((text) => text.length >= 12 && !/^https?:|^\d{4}-\d\d-\d\dT|\.twin$/.test(text));
}

/** §9 no. 26. @throws Failed when the operation log holds a secret of the entry, or no call of it */
async function expectSecrecy(slug: string, secrets: readonly string[]): Promise<void> {
    const rows = await valetkey.query<{ type: string; text: string }>(
        `select m.type, to_jsonb(o)::text || to_jsonb(m)::text as text from integrations i join operations o on o.integration_id = i.id
         join operation_messages m on m.operation_id = o.id where i.unique_key = $1`,
        [slug],
    );
    logged += rows.filter(({ type }) => type === 'http').length;
    for (const { text } of rows) {
        const leak = secrets.find((secret) => text.includes(JSON.stringify(secret).slice(1, -1)) || text.includes(encodeURIComponent(secret)));
        if (leak !== undefined) throw new Failed(`the operation log holds "${leak}": ${text}`);
    }
}

async function walk(entry: Entry): Promise<string> {
    const { slug, auth_mode: mode } = entry;
    // What siblings on the same hosts were refused is not this entry's.
    simulator.activity.clear();
    const visit = { valetkey, slug, mode, samples: simulator.world.samples.of(slug) };
    await connect(visit);
    const [row] = await valetkey.query<{ connection_id: string }>(
        'select c.connection_id from connections c join integrations i on i.id = c.integration_id where i.unique_key = $1',
        [slug],
    );
    if (row === undefined) throw new Failed('there is no connection');
    const first = await read(slug, row.connection_id, '&refresh_token=true');
    const done = ['connected', 'read'];
    const reads = [first];
    if (first.credentials['refresh_token'] !== undefined || repeated.has(mode)) {
        const second = await read(slug, row.connection_id, '&force_refresh=true');
        reads.push(second);
        if (tokenIn(second) === tokenIn(first) && !prolonged.has(slug)) throw new Failed('a forced refresh gave the same token');
        done.push('renewed');
    }
    const reason = uncalled[slug];
    if (reason !== undefined) done.push(`not called: ${reason}`);
    else if (await injection.call(slug, await read(slug, row.connection_id, '&refresh_token=true'))) done.push('called');
    else done.push('no API in the entry');
    const refused = simulator.activity.list(slug).find((call) => call.outcome === 'refused' && !isAsked(mode, slug, call));
    if (refused !== undefined) throw new Failed(`the twin refused ${refused.method} ${refused.address}: ${refused.note}`);
    if (provesItself.has(mode) || isVerified(entry)) {
        await expectRefusal(visit);
        const { length } = await valetkey.query(
            'select 1 from connections c join integrations i on i.id = c.integration_id where i.unique_key = $1 and c.deleted_at is null',
            [slug],
        );
        if (length !== 1) throw new Failed(`wrong credentials left ${length - 1} connections behind`);
        done.push('refused when wrong');
    }
    await expectSecrecy(slug, secretsOf(slug, reads));
    return done.join(', ');
}

async function rowOf(entry: Entry): Promise<Row> {
    const { slug, auth_mode: mode } = entry;
    const reason = unwalked[slug];
    if (reason !== undefined) return { slug, mode, passed: false, says: `skipped: ${reason}` };
    try {
        return { slug, mode, passed: true, says: await walk(entry) };
    } catch (error) {
        if (!(error instanceof Failed)) throw error;
        return { slug, mode, passed: false, says: error.message };
    }
}

function table(rows: readonly Row[]): string {
    const skipped = rows.filter(({ says }) => says.startsWith('skipped'));
    const failed = rows.filter(({ passed, says }) => !passed && !says.startsWith('skipped'));
    const count = (of: readonly Row[], step: string): string =>
        String(of.filter(({ passed, says }) => passed && says.split(', ').includes(step)).length);
    const steps = ['renewed', 'called', 'no API in the entry', 'refused when wrong'];
    const byMode = Map.groupBy(rows, ({ mode }) => mode);
    return [
        '',
        `  ${'mode'.padEnd(20)} entries  passed`,
        ...[...byMode].map(
            ([mode, of]) => `  ${mode.padEnd(20)} ${String(of.length).padStart(7)} ${String(of.filter(({ passed }) => passed).length).padStart(7)}`,
        ),
        `  ${'total'.padEnd(20)} ${String(rows.length).padStart(7)} ${String(rows.length - skipped.length - failed.length).padStart(7)}`,
        ...steps.map((step) => `  ${step.padEnd(28)} ${count(rows, step).padStart(7)}`),
        `  ${'failed'.padEnd(28)} ${String(failed.length).padStart(7)}`,
        ...[...failed, ...skipped, ...rows.filter(({ passed, says }) => passed && says.includes('not called'))].map(
            ({ slug, says }) => `  ${slug}: ${says}`,
        ),
        '',
        '',
    ].join('\n');
}

test('every mode of the catalogue is walked', () => {
    const modes = new Set([...simulator.catalogue.values()].map(({ auth_mode }) => auth_mode));
    expect([...modes].filter((mode) => !walkedModes().includes(mode))).toEqual([]);
});

test('all entries are connected, read, renewed and called', async () => {
    const rows: Row[] = [];
    for (const entry of simulator.catalogue.values()) rows.push(await rowOf(entry));
    writeSync(1, table(rows));
    expect(rows).toHaveLength(981);
    // An exception of an entry that is gone would hide nothing, and mislead.
    const slugs = new Set(rows.map(({ slug }) => slug));
    expect([...Object.keys(unwalked), ...Object.keys(uncalled), ...prolonged].filter((slug) => !slugs.has(slug))).toEqual([]);
    expect(rows.filter(({ passed, says }) => !passed && !says.startsWith('skipped'))).toEqual([]);
    // As many entries are connected by calls.
    expect(logged).toBeGreaterThan(900);
}, 600_000);
