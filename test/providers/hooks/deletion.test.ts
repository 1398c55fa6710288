/** What is asked of a provider when a connection is gone (auth-modes §17.3). */
import { expect, test } from 'vitest';
import { deletionHooks } from '../../../src/providers/hooks/index.ts';
import { asked, oauth2, recorded, type Surroundings } from './recorded-calls.ts';

const client = { type: 'OAUTH2_CC', token: 'cc-token', client_id: 'i', client_secret: 's', raw: {} } as const;

test.each<[string, Surroundings, string]>([
    ['hubspot', { credentials: { ...oauth2(), refresh_token: 'a/b' } as never }, 'DELETE /oauth/v1/refresh-tokens/a%2Fb'],
    ['intercom', {}, 'POST /auth/uninstall'],
    ['linear', {}, 'POST /oauth/revoke'],
    ['onelogin', { credentials: client, clientId: 'i', clientSecret: 's' }, 'POST /auth/oauth2/revoke'],
])('%s', async (name, given, call) => {
    const hook = deletionHooks.get(`${name}PreConnectionDeletion`)!;
    const { context, calls } = recorded([204], given);
    expect(await hook.revoke(context)).toMatchObject({ status: 204 });
    expect(asked(calls)).toEqual([call]);
    expect(hook.endsAll ?? false).toBe(name === 'intercom');
    if (name === 'onelogin')
        expect(calls[0]).toMatchObject({ headers: { authorization: 'client_id:i, client_secret:s' }, json: { access_token: 'cc-token' } });
});

test.each<[string, Surroundings]>([
    ['hubspot', { credentials: { type: 'OAUTH2', access_token: 'a', raw: {} } }],
    ['onelogin', { credentials: { ...client, token: '' } }],
])('%s without a token asks nothing', async (name, given) => {
    const { context, calls } = recorded([], given);
    expect(await deletionHooks.get(`${name}PreConnectionDeletion`)!.revoke(context)).toBeUndefined();
    expect(calls).toEqual([]);
});
