/**
 * The backend of both examples: what a product needs on its own side. Connect sessions for its users, a receiver for signed webhooks,
 * and, for show, a page that hears of them. Your framework has better ways to serve files.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Nango } from '@nangohq/node';

const host = process.env.VALETKEY_URL ?? 'http://localhost:3003';
const apiKey = process.env.VALETKEY_KEY;

/** What users of this product can connect. With simulated providers any OAuth client will do. */
const integrations = [
    { provider: 'slack', unique_key: 'slack', credentials: { type: 'OAUTH2', client_id: 'example', client_secret: 'example' } },
    { provider: 'openai', unique_key: 'openai' },
];

/** @param {string} page path of the page's file */
export async function serve(page, port) {
    if (!apiKey) fail('Set VALETKEY_KEY to the API key (dev) that Valetkey prints when it starts.');
    const nango = await prepare(port).catch((error) => fail(`Valetkey at ${host} could not be prepared: ${error.message}.`));
    const html = (await readFile(page, 'utf8')).replaceAll('%VALETKEY_URL%', host);
    const listeners = new Set();

    const routes = {
        'GET /': (request, response) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html),

        // For the user who is logged in; here there is but one.
        'POST /session': async (request, response) => {
            const { data } = await nango.createConnectSession({ end_user: { id: 'user-1', email: 'user@example.com' } });
            response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token: data.token }));
        },

        'POST /webhooks': async (request, response) => {
            const body = await text(request);
            if (!nango.verifyIncomingWebhookRequest(body, request.headers)) {
                response.writeHead(401).end();
                return;
            }
            response.writeHead(204).end();
            const event = JSON.parse(body);
            if (event.type !== 'auth' || !event.success) return;
            // From now on the backend reads credentials that work, by this id. Keep it with the user.
            const { credentials } = await nango.getConnection(event.providerConfigKey, event.connectionId);
            const { providerConfigKey, connectionId, operation } = event;
            for (const listener of listeners) listener({ providerConfigKey, connectionId, operation, credentials: credentials.type });
        },

        'GET /events': (request, response) => {
            response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).write('\n');
            const listener = (event) => response.write(`data: ${JSON.stringify(event)}\n\n`);
            listeners.add(listener);
            response.on('close', () => listeners.delete(listener));
        },
    };

    const server = createServer(async (request, response) => {
        try {
            const { pathname } = new URL(request.url, 'http://localhost');
            const route = routes[`${request.method} ${pathname}`];
            if (route) await route(request, response);
            else if (/^\/sdk\/\w+\.js$/.test(pathname)) await sendModule(pathname.slice('/sdk/'.length), response);
            else response.writeHead(404).end();
        } catch (error) {
            console.error(error.message);
            if (response.headersSent) response.destroy();
            else response.writeHead(500).end();
        }
    });
    server.on('error', (error) => fail(`Port ${port} cannot be listened on (${error.code}); set PORT to another.`));
    server.listen(port, 'localhost', () => console.log(`Open http://localhost:${port}`));
}

/** The integrations, the place for webhooks, and the key by which they are verified. */
async function prepare(port) {
    const { configs } = await new Nango({ host, apiKey }).listIntegrations();
    const existing = new Set(configs.map(({ unique_key }) => unique_key));
    for (const integration of integrations) {
        if (!existing.has(integration.unique_key)) await call('POST', '/integrations', integration);
    }
    await call('PATCH', '/environment/webhooks', { primary_url: `http://localhost:${port}/webhooks` });
    const { data } = await call('GET', '/environment/webhook-signing-key');
    return new Nango({ host, apiKey, webhookSigningKey: data.webhook_signing_key });
}

async function call(method, path, body) {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const response = await fetch(host + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status} ${await response.text()}`);
    return response.json();
}

/** The browser client, as it is published: modules that need no build. */
async function sendModule(name, response) {
    const entry = fileURLToPath(import.meta.resolve('@nangohq/frontend'));
    const source = await readFile(join(entry, '..', name));
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(source);
}

function fail(sentence) {
    console.error(sentence);
    process.exit(1);
}
