/** TWO_STEP: one or more declared login calls, with answers of the declared shape (auth-modes §10). */
import { assertTyped } from '../caller.ts';
import { assertConfigFits, readParams, startReading, type Reading } from '../declared-params.ts';
import { tokenUrlOf, type Entry, type Step } from '../entry.ts';
import type { Grant } from '../grants.ts';
import { metadataValue } from '../metadata-values.ts';
import { Refusal, unauthorized } from '../refusal.ts';
import { assertSamlAssertion } from '../saml-assertion.ts';
import { twinDomain } from '../samples.ts';
import { assertSignedToken } from '../signed-token.ts';
import { setPath } from '../token-answer.ts';
import { namesIn } from '../text-template.ts';
import { typedValues } from '../typed-values.ts';
import { assertMethod, mediaTypeOf, readBody, type BodyFormat } from '../twin-request.ts';
import type { Answer, Call, Endpoint } from '../twin.ts';

export function twoStep(entry: Entry): Endpoint[] {
    const first: Step = { ...pick(entry), token_url: tokenUrlOf(entry) };
    const steps = [first, ...(entry.additional_steps ?? [])];
    return [
        ...refreshEndpoints(entry),
        ...steps.map((step, index): Endpoint => ({
            kind: 'login step',
            url: step.token_url,
            handle: (call) => login(call, step, steps.slice(index + 1), index),
        })),
    ];
}

const pick = ({ token_params, token_headers, token_request_method, body_format }: Entry): Omit<Step, 'token_url'> => ({
    ...(token_params === undefined ? {} : { token_params }),
    ...(token_headers === undefined ? {} : { token_headers }),
    ...(token_request_method === undefined ? {} : { token_request_method }),
    ...(body_format === undefined ? {} : { body_format }),
});

function refreshEndpoints(entry: Entry): Endpoint[] {
    if (entry.refresh_token_params === undefined && entry.refresh_token_headers === undefined) return [];
    const step: Step = {
        token_url: entry.refresh_url ?? tokenUrlOf(entry),
        token_params: entry.refresh_token_params ?? {},
        token_headers: entry.refresh_token_headers ?? entry.token_headers ?? {},
        ...(entry.body_format === undefined ? {} : { body_format: entry.body_format }),
    };
    return [{ kind: 'refresh', url: step.token_url, handle: (call) => refresh(call, step) }];
}

const wrongLogin = (why: string): Refusal => new Refusal(401, 'invalid_credentials', why);

function readStep(call: Call, step: Step): Reading {
    const { request, entry } = call;
    const method = step.token_request_method ?? 'POST';
    assertMethod(request, method);
    const headers: Record<string, string> = { ...request.headers, 'content-type': mediaTypeOf(request) };
    const isSent = method !== 'GET' && Object.keys(step.token_params ?? {}).length > 0;
    // A request without a body has no type to speak of.
    if (!isSent) delete headers['content-type'];
    const declared = Object.entries(step.token_headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
    const wanted = Object.fromEntries(declared.filter(([name]) => isSent || name !== 'content-type'));
    const reading = readParams(call, wanted, headers, startReading(call), { what: 'header', refuse: wrongLogin });
    if (!isSent) return reading;
    const format = (step.body_format ?? entry.body_format ?? 'json') as BodyFormat;
    return readParams(call, step.token_params ?? {}, readBody(request, format), reading);
}

async function login(call: Call, step: Step, later: readonly Step[], index: number): Promise<Answer> {
    const { entry, world } = call;
    let reading = readStep(call, step);
    reading = await assertSigned(call, reading);
    const earlier = assertEarlierSteps(call, reading);
    assertConfigFits(call, reading);
    const typed = typedValues(reading.bindings);
    if (Object.keys(typed).length > 0) assertTyped(call, reading, wrongLogin);
    else if (earlier === undefined && index > 0 && later.length === 0) throw wrongLogin('Nothing in this step says who is asking.');

    const grant = earlier ?? world.grants.begin({ slug: entry.slug, clientId: Object.values(typed)[0] ?? entry.slug, scopes: [], memory: {} });
    const read = { ...call, bindings: reading.bindings };
    return later.length > 0 ? stepAnswer(read, grant, later, index + 1) : lastAnswer(read, grant);
}

/** A token or assertion that the sender signed for this call. */
async function assertSigned(call: Call, reading: Reading): Promise<Reading> {
    const { token, assertion, signature } = call.entry;
    const [jwt, proof] = [reading.bindings['token'], reading.bindings['credentials.assertion']];
    if (jwt !== undefined) {
        const lifetimeSeconds = (token?.expires_in_ms ?? 0) / 1000;
        const declared = { ...token, key: token?.signing_key, lifetimeSeconds, hmacEncoding: signature?.hmac_secret_encoding };
        return assertSignedToken(call, reading, jwt, declared, wrongLogin);
    }
    if (proof === undefined || assertion === undefined) return reading;
    if (assertion.type === 'saml') return assertSamlAssertion(call, reading, proof, assertion, wrongLogin);
    const lifetimeSeconds = Number((assertion as { lifetimeInSeconds?: unknown }).lifetimeInSeconds ?? 3600);
    return assertSignedToken(call, reading, proof, { ...assertion, key: assertion.key, lifetimeSeconds }, wrongLogin);
}

/** Values of an earlier answer: its tokens must be valid ones. */
function assertEarlierSteps({ entry, world }: Call, { bindings }: Reading): Grant | undefined {
    const tokens = Object.entries(bindings).filter(([name]) => /^step\d+\..*token$/i.test(name));
    return tokens.map(([, value]) => world.grants.openAccess(entry.slug, value))[0];
}

const stepSeconds = 300;

/** Whatever the later steps take from this one. */
function stepAnswer(call: Call, grant: Grant, later: readonly Step[], step: number): Answer {
    const { entry, world } = call;
    const body: Record<string, unknown> = {};
    const wanted = later.flatMap((next) => namesIn(JSON.stringify(next))).filter((name) => name.startsWith(`step${step}.`));
    for (const name of wanted) {
        const path = name.slice(`step${step}.`.length);
        const isToken = /token$/i.test(path);
        setPath(body, path, isToken ? world.grants.issueAccess(grant, stepSeconds) : addressOf(entry.slug, path));
    }
    for (const name of entry.token_response_metadata ?? []) setPath(body, name, metadataValue(call, name));
    return { status: 200, body };
}

const addressOf = (slug: string, path: string): string => {
    const root = `https://${slug}.${twinDomain}`;
    return path === 'token_endpoint' ? `${root}/connect/token` : root;
};

/** Raw values that API calls take from the answer. */
const rawName = /^credentials\.raw\.(.+)$/;

function lastAnswer(call: Call, grant: Grant): Answer {
    const { entry, world } = call;
    const { token_response: shape } = entry;
    const lifetime = world.lifetimeOf(entry.slug);
    const token = world.grants.issueAccess(grant, lifetime);
    if (shape === undefined || shape.token === '') return { status: 200, headers: { 'content-type': 'text/plain' }, body: token };
    const body: Record<string, unknown> = {};
    for (const name of entry.token_response_metadata ?? []) setPath(body, name, metadataValue(call, name));
    for (const name of namesIn(JSON.stringify(entry.proxy ?? {}))) {
        const [, raw] = rawName.exec(name) ?? [];
        if (raw !== undefined) setPath(body, raw, 'simulated-1');
    }
    setPath(body, shape.token, token);
    if (shape.token_expiration !== undefined) setPath(body, shape.token_expiration, expiryOf(call, lifetime));
    if (shape.refresh_token !== undefined && shape.refresh_token !== shape.token)
        setPath(body, shape.refresh_token, world.grants.issueRefresh(grant));
    const cookies = entry.token_response_headers?.includes('set-cookie')
        ? { 'set-cookie': [`B1SESSION=${token}; HttpOnly`, 'ROUTEID=.node1; path=/'] }
        : {};
    if (entry.body_format === 'xml') {
        return { status: 200, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0" encoding="UTF-8"?>${xmlOf(body)}` };
    }
    return { status: 200, headers: cookies, body };
}

/** Elements in elements; the values are the twin's own and need no escaping. */
const xmlOf = (body: object): string =>
    Object.entries(body)
        .map(([name, value]) => `<${name}>${typeof value === 'object' && value !== null ? xmlOf(value) : String(value)}</${name}>`)
        .join('');

function expiryOf({ entry, world }: Call, lifetime: number): string | number {
    if (entry.token_response?.token_expiration_strategy === 'expireIn') return lifetime;
    // Tableau names a duration (auth-modes §15.4).
    if (entry.token_response?.token_expiration?.endsWith('estimatedTimeToExpiration')) {
        const [hours, minutes, seconds] = [Math.floor(lifetime / 3600), Math.floor(lifetime / 60) % 60, lifetime % 60];
        return [`${Math.floor(hours / 24)}`, String(hours % 24).padStart(2, '0'), String(minutes + (seconds > 0 ? 1 : 0)).padStart(2, '0')].join(':');
    }
    return new Date(world.now() + lifetime * 1000).toISOString();
}

function refresh(call: Call, step: Step): Answer {
    const { entry, world } = call;
    const reading = readStep(call, step);
    const token = reading.bindings['refresh_token'];
    if (token === undefined) throw unauthorized('There is no refresh token where this provider expects one.');
    const isOneToken = entry.token_response?.refresh_token === entry.token_response?.token;
    const grant = isOneToken ? world.grants.openAccess(entry.slug, token) : world.grants.openRefresh(entry.slug, token);
    const answer = lastAnswer({ ...call, bindings: reading.bindings }, grant);
    if (isOneToken) world.grants.revoke(entry.slug, token);
    else world.grants.spend(token);
    return answer;
}
