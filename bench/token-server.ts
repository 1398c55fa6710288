/** A token endpoint that rotates refresh tokens and answers after `DELAY_MS`. `GET /count` says how many calls it has answered. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

const { PORT, HOST, DELAY_MS } = process.env as Record<string, string>;
const delayMs = Number(DELAY_MS);
let count = 0;
/** As long as tokens usually are; made ahead, so that making them costs the others no processor time. */
const tokens = Array.from({ length: 64 }, () => randomBytes(90).toString('base64url'));

createServer((request, response) => {
    if (request.method !== 'POST') {
        response.end(request.url === '/count' ? String(count) : '{"result":"ok"}');
        return;
    }
    request.resume();
    request.on('end', () => {
        const answer = (): void => {
            count += 1;
            const refreshToken = `${tokens[count % 64]!.slice(0, 50)}${count}`;
            const body = {
                access_token: tokens[(count * 7) % 64],
                refresh_token: refreshToken,
                token_type: 'Bearer',
                expires_in: 3600,
                scope: 'read write',
            };
            response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        };
        // At once is at once: a timer would wait for a millisecond.
        if (delayMs === 0) {
            answer();
        } else {
            setTimeout(answer, delayMs);
        }
    });
}).listen(Number(PORT), HOST);
process.once('SIGTERM', () => process.exit(0));
