/**
 * What renewing costs at least: the HTTP call and one UPDATE of the row, as many at once as a worker has slots. No lease, intent,
 * journal, sealing, egress policy or interpretation; a crash between the two loses the grant. Valetkey's renewals are measured
 * against this. `GET /run` renews every connection that is due and answers with how many there were per second.
 */
import { createServer } from 'node:http';
import pg from 'pg';
import { Pool } from 'undici';

const { PORT, HOST, DATABASE_URL, TOKEN_URL, CONCURRENCY } = process.env as Record<string, string>;
const database = new pg.Pool({ connectionString: DATABASE_URL!, max: 10 });
const tokenServer = new Pool(TOKEN_URL!, { connections: Number(CONCURRENCY) });
const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'r'.repeat(60), client_id: 'client', client_secret: 's'.repeat(32) });

async function renew(id: string): Promise<void> {
    const answer = await tokenServer.request({
        method: 'POST',
        path: '/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: body.toString(),
    });
    const text = await answer.body.text();
    const { expires_in: seconds } = JSON.parse(text) as { expires_in: number };
    const now = Date.now();
    await database.query({
        name: 'renew',
        text: `update connections set sealed_credentials = $2, credentials_obtained_at = $3, credentials_expires_at = $4, next_refresh_at = $5,
                last_refresh_success = $3 where id = $1`,
        // Sealed text is larger than the answer by its form.
        values: [id, text.padEnd(900, '.'), new Date(now), new Date(now + seconds * 1000), new Date(now + seconds * 750)],
    });
}

async function renewAll(): Promise<number> {
    const { rows } = await database.query<{ id: string }>('select id from connections where next_refresh_at <= now()');
    const begin = performance.now();
    const next = rows.values();
    await Promise.all(
        Array.from({ length: Number(CONCURRENCY) }, async () => {
            for (const { id } of next) {
                await renew(id);
            }
        }),
    );
    return rows.length / ((performance.now() - begin) / 1000);
}

createServer((request, response) => {
    void (request.url === '/run' ? renewAll().then(String) : Promise.resolve('ok')).then((text) => response.end(text));
}).listen(Number(PORT), HOST);
process.once('SIGTERM', () => process.exit(0));
