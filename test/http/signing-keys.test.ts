/** Keys that sign webhooks: listing, rotating with an overlap, revoking, and an endpoint's own (http-api §10.5, webhooks W4–W6, W18, §9 no. 11). */
import { Nango } from '@nangohq/node';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Retention } from '../../src/retention.ts';
import { newRowId, systemSources } from '../../src/sources.ts';
import { newSigningKeys } from '../../src/webhooks/signature.ts';
import { startWebhookReceiver, type Delivery, type WebhookReceiver } from '../peers/webhook-receiver.ts';
import { connectKey, createSession, untestedKeyEntry } from './accounts.ts';
import { startTestApp, type Answer, type TestApp } from './app.ts';

interface ListedKey {
    id: string;
    state: 'active' | 'retiring' | 'revoked';
    created_at: string;
    retires_at: string | null;
    signs_legacy_headers: boolean;
    webhook_signing_key?: string;
    standard_webhooks_secret?: string;
    webhook_public_key?: string;
}

const day = 86_400_000;

let valetkey: TestApp;
/** Each test has an environment of its own. */
let environment: string;
let key: string;
let count = 0;

beforeAll(async () => {
    valetkey = await startTestApp({ providers: JSON.stringify(untestedKeyEntry('keyed')) });
});
afterAll(() => valetkey?.close());
beforeEach(async () => {
    environment = `signing-${(count += 1)}`;
    await makeEnvironment(environment);
    key = await valetkey.insertKey({ scopes: ['environment:*'], environment });
});

async function makeEnvironment(name: string): Promise<void> {
    const [id, keyId] = [newRowId(systemSources), newRowId(systemSources)];
    const place = { environmentId: id, table: 'webhook_signing_keys', column: 'sealed_keys', rowId: keyId };
    const keys = valetkey.vault.sealJson(newSigningKeys(systemSources), place);
    await valetkey.query(`insert into environments (id, name, is_production, created_at, updated_at) values ($1, $2, false, now(), now())`, [
        id,
        name,
    ]);
    await valetkey.query(
        `with settings as (insert into webhook_settings (environment_id, updated_at) values ($1, now()))
         insert into webhook_signing_keys (id, environment_id, state, sealed_keys, created_at) values ($2, $1, 'active', $3, now())`,
        [id, keyId, keys],
    );
}
const rotate = (body?: unknown): Promise<Answer<{ data: { webhook_signing_key: string }; error: { code: string } }>> =>
    valetkey.call('POST', '/environment/webhook-signing-key/rotate', { key, body });
const promote = (): Promise<Answer<{ data: ListedKey[] }>> => valetkey.call('POST', '/environment/webhook-signing-key/promote', { key });
const revoke = (id: string): Promise<Answer<{ success?: true; error?: { code: string } }>> =>
    valetkey.call('DELETE', `/environment/webhook-signing-keys/${id}`, { key });
const list = async (): Promise<ListedKey[]> =>
    (await valetkey.call<{ data: ListedKey[] }>('GET', '/environment/webhook-signing-keys', { key })).body.data;
const current = async (): Promise<string> =>
    (await valetkey.call<{ data: { webhook_signing_key: string } }>('GET', '/environment/webhook-signing-key', { key })).body.data
        .webhook_signing_key;
const stored = (): Promise<{ state: string; sealed_keys: string | null }[]> =>
    valetkey.query(
        `select k.state, k.sealed_keys from webhook_signing_keys k join environments e on e.id = k.environment_id where e.name = $1 order by k.id`,
        [environment],
    );

describe('reading', () => {
    test('shows the secret in both of its forms, and the public half', async () => {
        const answer = await valetkey.call<{ data: Record<string, string> }>('GET', '/environment/webhook-signing-key', { key });
        expect(answer.headers['cache-control']).toBe('no-store');
        const secret = answer.body.data['webhook_signing_key'];
        expect(answer.body.data).toEqual({
            webhook_signing_key: expect.stringMatching(/^whsec_/) as string,
            standard_webhooks_secret: secret,
            webhook_public_key: expect.stringMatching(/^whpk_/) as string,
        });
    });

    test('an imported UUID is shown with its whsec_ form (W4)', async () => {
        const uuid = '11111111-2222-4333-8444-555555555555';
        const [row] = await valetkey.query<{ id: string; environment_id: string }>(
            `select k.id, k.environment_id from webhook_signing_keys k join environments e on e.id = k.environment_id where e.name = $1`,
            [environment],
        );
        const place = { environmentId: row!.environment_id, table: 'webhook_signing_keys', column: 'sealed_keys', rowId: row!.id };
        const seed = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]).toString('base64');
        await valetkey.query('update webhook_signing_keys set sealed_keys = $1 where id = $2', [
            valetkey.vault.sealJson({ secret: uuid, ed25519: seed }, place),
            row!.id,
        ]);
        const answer = await valetkey.call<{ data: object }>('GET', '/environment/webhook-signing-key', { key });
        expect(answer.body.data).toMatchObject({
            webhook_signing_key: uuid,
            standard_webhooks_secret: `whsec_${Buffer.from(uuid).toString('base64')}`,
        });
    });

    test('the list begins with one active key', async () => {
        expect(await list()).toEqual([
            {
                id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
                state: 'active',
                created_at: expect.stringMatching(/Z$/) as string,
                retires_at: null,
                signs_legacy_headers: true,
                webhook_signing_key: await current(),
                standard_webhooks_secret: await current(),
                webhook_public_key: expect.stringMatching(/^whpk_/) as string,
            },
        ]);
    });

    test('the list has no secrets for a key that may only rotate', async () => {
        const rotating = await valetkey.insertKey({ scopes: ['environment:webhook_signing_key:rotate'], environment });
        const answer = await valetkey.call<{ data: ListedKey[] }>('GET', '/environment/webhook-signing-keys', { key: rotating });
        expect(answer.text).not.toContain(await current());
        expect(Object.keys(answer.body.data[0]!)).toEqual(['id', 'state', 'created_at', 'retires_at', 'signs_legacy_headers']);
        expect((await valetkey.call('GET', '/environment/webhook-signing-key', { key: rotating })).status).toBe(403);
    });
});

describe('rotating', () => {
    test.each([undefined, {}])('with body %j answers the new key; the replaced one signs beside it for a day', async (body) => {
        const before = await current();
        const answer = await rotate(body);
        expect([answer.status, answer.body]).toEqual([
            200,
            { data: { webhook_signing_key: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) as string } },
        ]);
        expect(answer.headers['cache-control']).toBe('no-store');
        expect(await current()).toBe(answer.body.data.webhook_signing_key);
        const keys = await list();
        expect(keys).toMatchObject([
            { state: 'active', webhook_signing_key: answer.body.data.webhook_signing_key, signs_legacy_headers: true, retires_at: null },
            { state: 'retiring', webhook_signing_key: before, signs_legacy_headers: false },
        ]);
        expect(Date.parse(keys[1]!.retires_at!) - Date.parse(keys[0]!.created_at)).toBe(day);
    });

    test('overlap_seconds 0 destroys the replaced key at once', async () => {
        const before = await current();
        await rotate({ overlap_seconds: 0 });
        const keys = await list();
        expect(keys.map(({ state }) => state)).toEqual(['active', 'revoked']);
        expect(keys[1]).not.toHaveProperty('webhook_signing_key');
        expect(keys[0]!.webhook_signing_key).not.toBe(before);
        expect((await stored()).map(({ state, sealed_keys: sealed }) => [state, sealed === null])).toEqual([
            ['revoked', true],
            ['active', false],
        ]);
    });

    test('four at once leave one active key and every other one retiring', async () => {
        const before = await current();
        const answers = await Promise.all(Array.from({ length: 4 }, () => rotate()));
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
        const keys = await list();
        expect(keys.map(({ state }) => state)).toEqual(['active', 'retiring', 'retiring', 'retiring', 'retiring']);
        expect(keys.map((one) => one.webhook_signing_key).toSorted()).toEqual(
            [before, ...answers.map(({ body }) => body.data.webhook_signing_key)].toSorted(),
        );
    });

    test('eight at once, each ending its predecessor, leave one key', async () => {
        const answers = await Promise.all(Array.from({ length: 8 }, () => rotate({ overlap_seconds: 0 })));
        expect(new Set(answers.map(({ body }) => body.data.webhook_signing_key)).size).toBe(8);
        expect((await stored()).map(({ state }) => state).toSorted()).toEqual(['active', ...Array.from({ length: 8 }, () => 'revoked')]);
    });

    test('a sixth live key is refused until one ends; ending the present one is always possible', async () => {
        for (let index = 0; index < 4; index += 1) {
            await rotate();
        }
        const refused = await rotate();
        expect([refused.status, refused.body.error.code]).toEqual([409, 'multiple_webhook_signing_keys']);
        expect((await list()).length).toBe(5);
        expect((await rotate({ overlap_seconds: 0 })).status).toBe(200);
        await revoke((await list()).find(({ state }) => state === 'retiring')!.id);
        expect((await rotate()).status).toBe(200);
    });

    test('answers 404 where there is no key', async () => {
        await valetkey.query(`delete from webhook_signing_keys where environment_id = (select id from environments where name = $1)`, [environment]);
        const answers = [await rotate(), await promote(), await valetkey.call('GET', '/environment/webhook-signing-key', { key })];
        expect(answers.map(({ status, body }) => [status, (body as { error?: { code: string } }).error?.code])).toEqual(
            answers.map(() => [404, 'not_found']),
        );
    });

    test('answers rotation_failed, and changes nothing, when the new key cannot be stored', async () => {
        const before = await current();
        await valetkey.query(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$`);
        await valetkey.query('create trigger refuse before insert on webhook_signing_keys for each row execute function refuse()');
        try {
            const answer = await rotate();
            expect([answer.status, answer.body.error.code]).toEqual([500, 'rotation_failed']);
        } finally {
            await valetkey.query('drop trigger refuse on webhook_signing_keys');
        }
        expect([await current(), (await list()).length]).toEqual([before, 1]);
    });

    test.each<[unknown, unknown]>([
        [{ overlap_seconds: -1 }, [['too_small', ['overlap_seconds']]]],
        [{ overlap_seconds: 1.5 }, [['invalid_type', ['overlap_seconds']]]],
        [{ overlap_seconds: 31 * 86_400 }, [['too_big', ['overlap_seconds']]]],
        [{ legacy_headers: 'old' }, [['invalid_value', ['legacy_headers']]]],
        [{ overlap_seconds: 0, legacy_headers: 'previous' }, [['custom', ['legacy_headers']]]],
        [{ overlap: 1 }, [['unrecognized_keys', []]]],
    ])('%j is refused', async (body, expected) => {
        const answer = await valetkey.call<{ error: { errors: { code: string; path: string[] }[] } }>(
            'POST',
            '/environment/webhook-signing-key/rotate',
            {
                key,
                body,
            },
        );
        expect([answer.status, answer.body.error.errors.map(({ code, path }) => [code, path])]).toEqual([400, expected]);
    });

    test('takes no query', async () => {
        expect((await valetkey.call('POST', '/environment/webhook-signing-key/rotate?overlap_seconds=1', { key })).status).toBe(400);
    });
});

describe('legacy_headers: previous', () => {
    const legacy = async (): Promise<number> => (await list()).findIndex((one) => one.signs_legacy_headers);

    test('lasts until promoted', async () => {
        await rotate({ legacy_headers: 'previous' });
        expect(await legacy()).toBe(1);
        const promoted = await promote();
        expect(promoted.body.data.map((one) => one.signs_legacy_headers)).toEqual([true, false]);
        expect(promoted.text).not.toContain('whsec_');
        expect((await promote()).body.data.map((one) => one.signs_legacy_headers)).toEqual([true, false]);
    });

    test('lasts until the overlap ends', async () => {
        await rotate({ legacy_headers: 'previous', overlap_seconds: 60 });
        expect(await legacy()).toBe(1);
        valetkey.advance(61_000);
        expect(await legacy()).toBe(0);
        expect((await list())[1]).toMatchObject({ state: 'revoked' });
    });

    test('twice keeps the key that signed them first, as long as the second overlap', async () => {
        await rotate({ legacy_headers: 'previous', overlap_seconds: 60 });
        await rotate({ legacy_headers: 'previous', overlap_seconds: 600 });
        expect(await legacy()).toBe(2);
        const [, second, first] = await list();
        expect(first!.retires_at).toBe(second!.retires_at);
    });

    test('is over with the next rotation that does not ask for it', async () => {
        await rotate({ legacy_headers: 'previous' });
        await rotate();
        expect(await legacy()).toBe(0);
    });

    test('is over when the key is revoked', async () => {
        await rotate({ legacy_headers: 'previous' });
        await revoke((await list())[1]!.id);
        expect(await legacy()).toBe(0);
    });
});

describe('revoking', () => {
    test('ends a retiring key and destroys its secret; again is no mistake', async () => {
        await rotate();
        const { id } = (await list())[1]!;
        expect((await revoke(id)).body).toEqual({ success: true });
        expect((await list()).map(({ state }) => state)).toEqual(['active', 'revoked']);
        expect((await stored())[0]!.sealed_keys).toBeNull();
        expect((await revoke(id)).body).toEqual({ success: true });
    });

    test('is refused for the active key, another environment’s, an unknown one, and what is no id', async () => {
        const active = await revoke((await list())[0]!.id);
        expect([active.status, active.body.error?.code]).toEqual([400, 'cannot_revoke_active_webhook_signing_key']);
        const other = await valetkey.call<{ data: ListedKey[] }>('GET', '/environment/webhook-signing-keys');
        for (const id of [other.body.data[0]!.id, '00000000-0000-4000-8000-000000000000']) {
            const answer = await revoke(id);
            expect([answer.status, answer.body.error?.code]).toEqual([404, 'not_found']);
        }
        expect((await revoke('7')).body.error?.code).toBe('invalid_uri_params');
    });

    test('the purge marks and shreds what is past its time, and forgets it after 90 days', async () => {
        await rotate({ overlap_seconds: 3600 });
        await rotate({ overlap_seconds: 7200 });
        const { app } = valetkey;
        const at = (ms: number) => ({ ...systemSources, now: () => Date.now() + ms });
        const purge = (ms: number): Promise<void> =>
            new Retention({ db: app.database.db, sources: at(ms), logger: app.server.log as never, renewalLogKeptMs: 3 * 24 * 3600_000 }).purge();
        await purge(5400_000);
        expect((await stored()).map(({ state, sealed_keys: sealed }) => [state, sealed === null])).toEqual([
            ['revoked', true],
            ['retiring', false],
            ['active', false],
        ]);
        await purge(91 * day);
        expect((await stored()).map(({ state }) => state)).toEqual(['active']);
    });
});

describe('a webhook', () => {
    let receiver: WebhookReceiver;
    let working = false;

    beforeEach(async () => {
        receiver = await startWebhookReceiver();
        if (!working) {
            valetkey.app.startWork();
            working = true;
        }
        await valetkey.call('PATCH', '/environment/webhooks', { key, body: { primary_url: receiver.url } });
        await valetkey.call('POST', '/integrations', { key, body: { provider: 'keyed', unique_key: 'keyed' } });
    });
    afterEach(() => receiver.close());

    /** Connects, and waits for what the receiver hears of it. */
    async function send(): Promise<Delivery> {
        const connectionId = await connectKey(valetkey, 'keyed', await createSession(valetkey, undefined, key));
        return receiver.waitFor(({ body }) => body.includes(connectionId));
    }

    const isStandard = (delivery: Delivery, secret: string): boolean => {
        try {
            new Webhook(secret).verify(delivery.body, delivery.headers as Record<string, string>);
            return true;
        } catch {
            return false;
        }
    };
    const isNango = (delivery: Delivery, secret: string): boolean =>
        new Nango({ apiKey: '11111111-2222-4333-8444-555555555555', webhookSigningKey: secret }).verifyIncomingWebhookRequest(
            delivery.body.toString(),
            delivery.headers as Record<string, unknown>,
        );
    /** Whose HMAC stands in X-Valetkey-Hmac-Sha256-Other, as the Node client would check it. */
    const isOther = (delivery: Delivery, secret: string): boolean =>
        isNango({ ...delivery, headers: { 'x-nango-hmac-sha256': delivery.headers['x-valetkey-hmac-sha256-other'] as string } }, secret);

    test('verifies with either key during an overlap, until it ends', async () => {
        const old = await current();
        const single = await send();
        expect([isStandard(single, old), isNango(single, old)]).toEqual([true, true]);
        expect(single.headers).not.toHaveProperty('x-valetkey-hmac-sha256-other');

        const fresh = (await rotate({ overlap_seconds: 3600 })).body.data.webhook_signing_key;
        const during = await send();
        expect([isStandard(during, old), isStandard(during, fresh)]).toEqual([true, true]);
        expect([isNango(during, old), isNango(during, fresh), isOther(during, old)]).toEqual([false, true, true]);
        const signatures = String(during.headers['webhook-signature']).split(' ');
        expect(signatures.map((entry) => entry.split(',')[0])).toEqual(['v1', 'v1', 'v1a', 'v1a']);
        // The newest first: what a receiver that looks at one entry only has to know.
        expect(isStandard({ ...during, headers: { ...during.headers, 'webhook-signature': signatures[0] } }, fresh)).toBe(true);

        await revoke((await list())[1]!.id);
        const afterwards = await send();
        expect([isStandard(afterwards, old), isStandard(afterwards, fresh), isNango(afterwards, fresh)]).toEqual([false, true, true]);
        expect(afterwards.headers).not.toHaveProperty('x-valetkey-hmac-sha256-other');
    });

    test('during one with legacy_headers previous, the X-Nango-* headers switch exactly at promotion', async () => {
        const old = await current();
        const fresh = (await rotate({ legacy_headers: 'previous' })).body.data.webhook_signing_key;
        const before = await send();
        expect([isNango(before, old), isNango(before, fresh), isOther(before, fresh)]).toEqual([true, false, true]);
        expect([isStandard(before, old), isStandard(before, fresh)]).toEqual([true, true]);
        await promote();
        const after = await send();
        expect([isNango(after, old), isNango(after, fresh), isOther(after, old)]).toEqual([false, true, true]);
        expect([isStandard(after, old), isStandard(after, fresh)]).toEqual([true, true]);
    });

    describe('to an endpoint with keys of its own (W18)', () => {
        let own: WebhookReceiver;
        beforeEach(async () => {
            own = await startWebhookReceiver();
        });
        afterEach(() => own.close());

        const make = async (fields: object = { own_signing_key: true }): Promise<string> =>
            (await valetkey.call<{ data: { id: string } }>('POST', '/webhooks/endpoints', { key, body: { url: own.url, ...fields } })).body.data.id;
        const keysOf = async (id: string): Promise<ListedKey[]> =>
            (await valetkey.call<{ data: ListedKey[] }>('GET', `/environment/webhook-signing-keys?endpoint_id=${id}`, { key })).body.data;
        const secretOf = async (id: string): Promise<string> =>
            (await valetkey.call<{ data: { webhook_signing_key: string } }>('GET', `/environment/webhook-signing-key?endpoint_id=${id}`, { key }))
                .body.data.webhook_signing_key;
        /** What both receivers hear of one event. */
        const sendToBoth = async (): Promise<[Delivery, Delivery]> => {
            const first = await send();
            return [first, await own.waitFor(({ headers }) => headers['webhook-id'] === first.headers['webhook-id'])];
        };
        const verifies = (delivery: Delivery, secret: string): [boolean, boolean] => [isStandard(delivery, secret), isNango(delivery, secret)];

        test('verifies with those alone, and all others with the environment’s alone', async () => {
            const id = await make();
            const [secret, shared] = [await secretOf(id), await current()];
            expect(secret).not.toBe(shared);
            const [toPrimary, toOwn] = await sendToBoth();
            expect([verifies(toPrimary, shared), verifies(toPrimary, secret)]).toEqual([
                [true, true],
                [false, false],
            ]);
            expect([verifies(toOwn, secret), verifies(toOwn, shared)]).toEqual([
                [true, true],
                [false, false],
            ]);
            expect(String(toOwn.headers['webhook-signature']).split(' ')).toHaveLength(2);
        });

        test('is tested with them', async () => {
            const id = await make();
            const tested = await valetkey.call<{ data: { delivered: boolean } }>('POST', '/webhooks/test', { key, body: { endpoint_id: id } });
            expect(tested.body.data.delivered).toBe(true);
            const [delivery] = own.deliveries;
            expect([verifies(delivery!, await secretOf(id)), verifies(delivery!, await current())]).toEqual([
                [true, true],
                [false, false],
            ]);
        });

        test('has them rotated, promoted and revoked by themselves', async () => {
            const id = await make();
            const [old, shared] = [await secretOf(id), await list()];
            const body = { endpoint_id: id, legacy_headers: 'previous' };
            const fresh = (await rotate(body)).body.data.webhook_signing_key;
            expect(await list()).toEqual(shared);
            const [, during] = await sendToBoth();
            expect([verifies(during, old), verifies(during, fresh), isOther(during, fresh)]).toEqual([[true, true], [true, false], true]);
            await valetkey.call('POST', '/environment/webhook-signing-key/promote', { key, body: { endpoint_id: id } });
            expect(await keysOf(id)).toMatchObject([
                { state: 'active', webhook_signing_key: fresh, signs_legacy_headers: true },
                { state: 'retiring', webhook_signing_key: old, signs_legacy_headers: false },
            ]);
            expect((await revoke((await keysOf(id))[1]!.id)).body).toEqual({ success: true });
            await rotate();
            const [toPrimary, toOwn] = await sendToBoth();
            expect([verifies(toOwn, fresh), isStandard(toOwn, old)]).toEqual([[true, true], false]);
            expect(verifies(toPrimary, await current())).toEqual([true, true]);
        });

        test('goes over to them and back, from the next delivery on; what they were is destroyed', async () => {
            const id = await make({});
            expect([await keysOf(id), (await valetkey.call('GET', `/environment/webhook-signing-key?endpoint_id=${id}`, { key })).status]).toEqual([
                [],
                404,
            ]);
            const change = (own_signing_key: boolean) => valetkey.call('PATCH', `/webhooks/endpoints/${id}`, { key, body: { own_signing_key } });
            const [, before] = await sendToBoth();
            expect(verifies(before, await current())).toEqual([true, true]);
            for (const _ of [1, 2]) await change(true);
            const secret = await secretOf(id);
            const [, during] = await sendToBoth();
            expect(verifies(during, secret)).toEqual([true, true]);
            await change(false);
            const [, after] = await sendToBoth();
            expect([verifies(after, await current()), verifies(after, secret)]).toEqual([
                [true, true],
                [false, false],
            ]);
            expect([await keysOf(id), (await stored()).length]).toEqual([[], 1]);
        });

        test('takes them along when it is deleted', async () => {
            const id = await make();
            expect((await stored()).length).toBe(2);
            await valetkey.call('DELETE', `/webhooks/endpoints/${id}`, { key });
            expect((await stored()).length).toBe(1);
        });

        test('shows them to its own environment alone', async () => {
            const id = await make();
            const path = `/environment/webhook-signing-key?endpoint_id=${id}`;
            expect((await valetkey.call('GET', path)).status).toBe(404);
            expect((await valetkey.call('POST', '/environment/webhook-signing-key/rotate', { body: { endpoint_id: id } })).status).toBe(404);
            expect((await valetkey.call('DELETE', `/environment/webhook-signing-keys/${(await keysOf(id))[0]!.id}`)).status).toBe(404);
        });

        test('is declared as such, its keys made where it is applied', async () => {
            const endpoints = [{ url: own.url, own_signing_key: true }];
            const apply = () =>
                valetkey.call<{ data: { changes: object[] } }>('PUT', '/environment/config', { key, body: { version: 1, webhooks: { endpoints } } });
            expect((await apply()).status).toBe(200);
            const [, delivery] = await sendToBoth();
            const { data } = (await valetkey.call<{ data: { id: string; own_signing_key: boolean }[] }>('GET', '/webhooks/endpoints', { key })).body;
            const id = data.find(({ own_signing_key: isOwn }) => isOwn)!.id;
            expect(verifies(delivery, await secretOf(id))).toEqual([true, true]);
            expect((await apply()).body.data.changes).toEqual([]);
        });
    });
});
