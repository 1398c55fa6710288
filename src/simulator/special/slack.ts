/** Slack: a bot token and a user token in one answer, each with a refresh token of its own; failures are 200 with `ok` false. */
import { tokenUrlOf } from '../entry.ts';
import { acceptClient, readClient } from '../client-authentication.ts';
import type { Grant } from '../grants.ts';
import type { Refusal } from '../refusal.ts';
import { exchangeCode, isRefreshRequest, type Special } from './special.ts';
import { assertSameClient } from '../token-endpoint.ts';
import { assertMethod, readBody, required } from '../twin-request.ts';
import { json, type Answer, type Call } from '../twin.ts';

export const slack: Special = (entry) => [{ kind: 'token', url: tokenUrlOf(entry), handle: tokens, refuse: notOk }];

const notOk = ({ code, message }: Refusal): Answer => ({ ...json({ ok: false, error: code }), note: message });

const team = { app_id: 'A000TWIN', team: { id: 'T000TWIN', name: 'Simulated' }, enterprise: null, is_enterprise_install: false };

async function tokens(call: Call): Promise<Answer> {
    assertMethod(call.request, 'POST');
    if (isRefreshRequest(call, 'form')) return refresh(call);
    const { grant } = await exchangeCode(call, { format: 'form', client: 'body', grantType: grantTypeOf(call) });
    const { memory } = grant;
    const wantsUser = (memory['user_scope'] ?? '') !== '';
    const wantsBot = (memory['scope'] ?? '') !== '' || !wantsUser;
    const bot = wantsBot ? half(call, grant, 'bot', memory['scope'] ?? '') : undefined;
    const user = wantsUser ? half(call, { ...grant, id: `${grant.id}-user` }, 'user', memory['user_scope']!) : undefined;
    return json({
        ok: true,
        ...team,
        ...(bot === undefined ? {} : { ...bot, bot_user_id: 'U000TWIN', incoming_webhook: webhook }),
        authed_user: { id: 'U111TWIN', ...user },
    });
}

/** Slack does not insist on it. */
function grantTypeOf(call: Call): string | null {
    return readBody(call.request, 'form')['grant_type'] === undefined ? null : 'authorization_code';
}

const webhook = { url: 'https://hooks.slack.com/services/T000TWIN/B000TWIN/simulated', channel: '#simulated', channel_id: 'C000TWIN' };

function half({ world, entry }: Call, grant: Grant, kind: 'bot' | 'user', scope: string) {
    const lifetime = world.lifetimeOf(entry.slug);
    const own: Grant = { ...grant, memory: { ...grant.memory, kind, granted: scope } };
    return {
        access_token: world.grants.issueAccess(own, lifetime),
        token_type: kind,
        scope,
        expires_in: lifetime,
        refresh_token: world.grants.issueRefresh(own),
    };
}

async function refresh(call: Call): Promise<Answer> {
    const { entry, request, world } = call;
    const params = readBody(request, 'form');
    const token = required(params, 'refresh_token');
    const grant = world.grants.openRefresh(entry.slug, token);
    const client = await readClient(call, params, 'body');
    assertSameClient(client, grant.clientId);
    acceptClient(call, client);
    world.grants.spend(token);
    return json({ ok: true, ...team, ...half(call, grant, grant.memory['kind'] === 'user' ? 'user' : 'bot', grant.memory['granted'] ?? '') });
}
