/** GET /connections/{id} with a fresh token, beside a bare server: the endpoint that backends live on. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { watchInterference } from './interference.ts';
import { drive, type LoadResult } from './load.ts';
import type { Postgres } from './postgres.ts';
import { integrationKey, seed } from './seed.ts';
import { startServer, type ServerProcess } from './server-process.ts';
import { layOut, median, printFigures } from './table.ts';

const stored = 10_000;
const clients = 32;
const pairs = 3;
/** Until the optimising compiler has seen what the larger of the two runs. */
const warmUpSeconds = 12;
const targetRatio = 0.7;

/** Alternates between the two, so that what else the machine does meets both alike. */
export async function measureReads(postgres: Postgres, seconds: number): Promise<void> {
    const database = await postgres.createDatabase();
    const encryptionKey = randomBytes(32);
    const bareKey = randomBytes(32);
    const apiKey = randomUUID();
    const headers = { authorization: `Bearer ${apiKey}` };
    const valetkey = await startServer('bin/valetkey', {
        DATABASE_URL: database.url,
        VALETKEY_ENCRYPTION_KEY: encryptionKey.toString('base64'),
        VALETKEY_SECRET_KEY_DEV: apiKey,
        VALETKEY_RATE_LIMIT_PER_MIN: '1000000000',
        LOG_LEVEL: 'warn',
    });
    const bare = await startServer('bench/bare-server.ts', {
        DATABASE_URL: database.url,
        SEAL_KEY: bareKey.toString('base64'),
        API_KEY_HASH: createHash('sha256').update(apiKey).digest('base64'),
    });
    try {
        const ids = await seed({ databaseUrl: database.url, encryptionKey, bareKey, count: stored });
        const paths = ids.map((id) => `/connections/${id}?provider_config_key=${integrationKey}`);
        await assertSameCredentials(valetkey, bare, paths[0]!, headers);

        const run = (server: ServerProcess, duration: number): Promise<LoadResult> =>
            drive({ url: server.url, paths, headers, connections: clients, seconds: duration });
        await run(valetkey, warmUpSeconds);
        await run(bare, warmUpSeconds);
        const interference = watchInterference();
        const results: { ours: LoadResult; theirs: LoadResult }[] = [];
        for (let pair = 0; pair < pairs; pair++) {
            results.push({ ours: await run(valetkey, seconds), theirs: await run(bare, seconds) });
        }
        report(results, { seconds, interference: interference(), ours: valetkey.residentMb(), theirs: bare.residentMb() });
    } finally {
        await Promise.all([valetkey.stop(), bare.stop()]);
        await database.drop();
    }
}

/** Two fast answers are worth comparing when both are right. */
async function assertSameCredentials(valetkey: ServerProcess, bare: ServerProcess, path: string, headers: Record<string, string>): Promise<void> {
    const tokens = await Promise.all(
        [valetkey, bare].map(async ({ url }) => {
            const body = (await (await fetch(url + path, { headers })).json()) as { credentials?: { access_token?: string } };
            return body.credentials?.access_token;
        }),
    );
    if (tokens[0] === undefined || tokens[0] !== tokens[1]) {
        throw new Error('Valetkey and the bare server do not give the same access token');
    }
}

function report(
    results: readonly { ours: LoadResult; theirs: LoadResult }[],
    run: { seconds: number; interference: number | undefined; ours: number | undefined; theirs: number | undefined },
): void {
    const row = (name: string, { requestsPerSecond, p50, p99, failures }: LoadResult, ratio: string): string[] => [
        name,
        requestsPerSecond.toFixed(0),
        `${p50} ms`,
        `${p99} ms`,
        String(failures),
        ratio,
    ];
    const ratios = results.map(({ ours, theirs }) => ours.requestsPerSecond / theirs.requestsPerSecond);
    console.log(`\nGET /connections/{id}: ${stored} stored, ${clients} connections, ${run.seconds} s each`);
    console.log(
        layOut([
            ['', 'req/s', 'p50', 'p99', 'failures', 'ratio'],
            ...results.flatMap(({ ours, theirs }, pair) => [
                row(`Valetkey ${pair + 1}`, ours, percent(ratios[pair]!)),
                row(`bare     ${pair + 1}`, theirs, ''),
            ]),
        ]),
    );
    const failures = results.reduce((sum, { ours, theirs }) => sum + ours.failures + theirs.failures, 0);
    printFigures('Reads', [
        { name: 'Valetkey, median', value: `${median(results.map(({ ours }) => ours.requestsPerSecond)).toFixed(0)} req/s` },
        { name: 'bare server, median', value: `${median(results.map(({ theirs }) => theirs.requestsPerSecond)).toFixed(0)} req/s` },
        { name: 'ratio, median', value: percent(median(ratios)), target: `>= ${percent(targetRatio)}`, isMet: median(ratios) >= targetRatio },
        { name: 'ratio, lowest to highest', value: `${percent(Math.min(...ratios))} to ${percent(Math.max(...ratios))}` },
        { name: 'failed requests', value: String(failures), target: '0', isMet: failures === 0 },
        { name: 'processor time the host kept for others', value: run.interference === undefined ? '?' : percent(run.interference) },
        { name: 'memory after the load', value: `${run.ours?.toFixed(0) ?? '?'} MB` },
        { name: 'memory of the bare server', value: `${run.theirs?.toFixed(0) ?? '?'} MB` },
    ]);
    if (failures > 0) {
        throw new Error('Some requests failed: the figures mean nothing');
    }
}

const percent = (ratio: number): string => `${(ratio * 100).toFixed(0)} %`;
