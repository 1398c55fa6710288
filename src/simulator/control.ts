/** `/` and `/_twin/…`: the activity page, and everything that it or a test can ask of the simulator. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { everyTwin, isFault } from './faults.ts';
import { activityPage } from './pages/activity-page.ts';
import type { Simulator } from './simulator.ts';
import { installationWebhook } from './special/sentry.ts';

export async function controlRoutes(server: FastifyInstance, { simulator }: { simulator: Simulator }): Promise<void> {
    const { world, switches, catalogue } = simulator;
    const provider = z.string().refine((slug) => slug === everyTwin || catalogue.has(slug), 'names no provider of the catalogue');

    server.get('/', async (request, reply) => {
        const { search = '', provider: slug = '' } = request.query as Record<string, string>;
        const { status, headers, body } = activityPage(simulator, { search, slug });
        return reply
            .code(status)
            .headers(headers ?? {})
            .send(body);
    });

    server.get('/_twin/providers', async (request) => {
        const { search = '' } = request.query as Record<string, string>;
        return [...catalogue.values()]
            .filter(({ slug, display_name }) => `${slug} ${display_name}`.toLowerCase().includes(search.toLowerCase()))
            .map(({ slug, display_name, auth_mode }) => ({ provider: slug, display_name, auth_mode }));
    });
    server.get('/_twin/samples/:provider', async (request, reply) => {
        const { provider: slug } = request.params as { provider: string };
        return catalogue.has(slug) ? world.samples.of(slug) : reply.code(404).send({ error: 'unknown_provider' });
    });
    server.get('/_twin/activity', async (request) => {
        const { provider: slug } = request.query as { provider?: string };
        return simulator.activity.list(slug);
    });
    server.get('/_twin/faults', async () => switches.list());

    post(
        server,
        '/_twin/faults',
        z.strictObject({ provider: provider.default(everyTwin), fault: z.string().refine(isFault, 'is no fault'), on: z.boolean() }),
        (body) => {
            switches.set(body.provider, body.fault as Parameters<typeof switches.set>[1], body.on);
            return switches.list();
        },
    );
    post(server, '/_twin/revoke', z.strictObject({ provider, value: z.string().optional() }), (body) => {
        if (body.value === undefined) return { revoked: world.grants.revokeAll(body.provider === everyTwin ? undefined : body.provider) };
        world.grants.revoke(body.provider, body.value);
        world.credentials.revoke(body.provider, body.value);
        return { revoked: 1 };
    });
    // Secrets and keys that are never sent: who tells the twin has the signatures made with them checked.
    const name = z.enum(['client_secret', 'token_secret', 'password', 'aws_secret', 'public_key']);
    post(server, '/_twin/secrets', z.strictObject({ provider, id: z.string(), name, secret: z.string() }), (body) => {
        world.credentials.register(catalogue.get(body.provider)!, body.id, body.name, body.secret);
        return { registered: true };
    });
    post(
        server,
        '/_twin/installations',
        z.strictObject({ provider: z.literal('sentry-oauth'), actor: z.string(), client_secret: z.string() }),
        (body) => installationWebhook(world, body.provider, body.actor, body.client_secret),
    );
    post(server, '/_twin/connect', z.strictObject({ provider }), async (body) => ({ url: await simulator.connect?.(body.provider) }));
    post(server, '/_twin/reset', z.strictObject({}), () => {
        switches.clear();
        simulator.activity.clear();
        return { reset: true };
    });
}

/** JSON only: a form of another site cannot send that. */
function post<Body>(server: FastifyInstance, path: string, schema: z.ZodType<Body>, handle: (body: Body) => unknown): void {
    server.post(path, async (request: FastifyRequest, reply: FastifyReply) => {
        if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) return reply.code(415).send({ error: 'json_expected' });
        const body = schema.safeParse(parse(request.body));
        if (body.success) return handle(body.data);
        return reply.code(400).send({ error: 'invalid_request', error_description: z.prettifyError(body.error) });
    });
}

function parse(text: unknown): unknown {
    try {
        return JSON.parse(String(text));
    } catch {
        return undefined;
    }
}
