/** What a scraper gets: series that mean something, of bounded number, and nothing of any connection (O4). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertConnection, insertIntegration } from '../store/rows.ts';
import { startTestApp, type TestApp } from './app.ts';

let valetkey: TestApp;
beforeAll(async () => {
    valetkey = await startTestApp({ env: { VALETKEY_METRICS_PORT: '0' } });
});
afterAll(() => valetkey.close());

/** Value by series, of one metric. */
async function scrape(name: string): Promise<Record<string, number>> {
    const { statusCode, headers, payload } = await valetkey.app.metricsServer!.inject('/metrics');
    expect([statusCode, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    const lines = payload.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));
    return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

describe('GET /metrics', () => {
    test('tells how far work is behind, by all replicas', async () => {
        expect(await scrape('valetkey_renewals_oldest_overdue_seconds')).toEqual({ valetkey_renewals_oldest_overdue_seconds: 0 });
        const { db } = valetkey.app.database;
        const [environment] = await valetkey.query<{ id: string }>(`select id from environments where name = 'dev'`);
        await insertConnection(db, await insertIntegration(db, environment!.id));
        await valetkey.query(`update connections set next_refresh_at = now() - interval '1 hour'`);
        const { valetkey_renewals_oldest_overdue_seconds: overdue } = await scrape('valetkey_renewals_oldest_overdue_seconds');
        // The process's idea of the database's clock is some milliseconds off.
        expect(overdue).toBeGreaterThan(3599);
        expect(overdue).toBeLessThan(3700);
        expect(await scrape('valetkey_renewals_overdue')).toEqual({ valetkey_renewals_overdue: 1 });
    });

    test('counts requests by route and class of status; routes that callers make up are one', async () => {
        await valetkey.call('GET', '/connections/nobody?provider_config_key=github');
        await valetkey.call('GET', '/made/up/1', {});
        await valetkey.call('GET', '/made/up/2', {});
        const counts = await scrape('valetkey_http_request_seconds_count');
        expect(counts).toMatchObject({
            'valetkey_http_request_seconds_count{method="GET",route="/connections/:connectionId",status="4xx"}': 1,
            'valetkey_http_request_seconds_count{method="other",route="other",status="4xx"}': 2,
        });
    });

    test('shows slots, pool and the process', async () => {
        expect(await scrape('valetkey_worker_busy_slots')).toEqual({
            'valetkey_worker_busy_slots{worker="renewals"}': 0,
            'valetkey_worker_busy_slots{worker="deliveries"}': 0,
            'valetkey_worker_busy_slots{worker="hooks"}': 0,
        });
        expect(Object.keys(await scrape('valetkey_database_pool_connections'))).toHaveLength(3);
        expect(Object.keys(await scrape('nodejs_eventloop_lag_p99_seconds'))).toHaveLength(1);
    });

    test('stands on its own port only, and nothing else does there', async () => {
        expect((await valetkey.call('GET', '/metrics')).status).toBe(404);
        expect((await valetkey.app.metricsServer!.inject('/health')).statusCode).toBe(404);
    });
});

test('without a port nothing is measured', async () => {
    const other = await startTestApp();
    expect(other.app.metricsServer).toBeUndefined();
    await other.close();
});
