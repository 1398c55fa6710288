/**
 * What reading a stored credential costs at least: Fastify, one prepared select through a pool, one AES-256-GCM decryption,
 * a JSON answer, and a bearer key compared by its hash in memory. No environments, scopes, validation, rate limit, expiry,
 * usage times or error contract. Valetkey's reads are measured against this.
 */
import { createDecipheriv, createHash, timingSafeEqual } from 'node:crypto';
import { fastify } from 'fastify';
import pg from 'pg';

export interface BareRow {
    connection_id: string;
    provider: string;
    /** Initialisation vector (12 bytes), tag (16 bytes), ciphertext. */
    sealed: Buffer;
}

const { PORT, HOST, DATABASE_URL, SEAL_KEY, API_KEY_HASH } = process.env as Record<string, string>;
const sealKey = Buffer.from(SEAL_KEY!, 'base64');
const apiKeyHash = Buffer.from(API_KEY_HASH!, 'base64');
const pool = new pg.Pool({ connectionString: DATABASE_URL!, max: 10 });
const app = fastify({ logger: false });

app.get('/health', () => ({ result: 'ok' }));

app.get<{ Params: { connectionId: string } }>('/connections/:connectionId', async (request, reply) => {
    const presented = request.headers.authorization?.slice('Bearer '.length) ?? '';
    if (!timingSafeEqual(createHash('sha256').update(presented).digest(), apiKeyHash)) {
        return reply.code(401).send({ error: 'unauthorized' });
    }
    const { rows } = await pool.query<BareRow>({
        name: 'connection',
        text: 'select connection_id, provider, sealed from bare_connections where connection_id = $1',
        values: [request.params.connectionId],
    });
    const [row] = rows;
    if (row === undefined) {
        return reply.code(404).send({ error: 'not_found' });
    }
    return { connection_id: row.connection_id, provider: row.provider, credentials: JSON.parse(open(row.sealed)) as unknown };
});

function open(sealed: Buffer): string {
    const decipher = createDecipheriv('aes-256-gcm', sealKey, sealed.subarray(0, 12), { authTagLength: 16 });
    decipher.setAuthTag(sealed.subarray(12, 28));
    return decipher.update(sealed.subarray(28), undefined, 'utf8') + decipher.final('utf8');
}

process.once('SIGTERM', () => {
    void app.close().then(() => pool.end());
});
await app.listen({ port: Number(PORT), host: HOST! });
