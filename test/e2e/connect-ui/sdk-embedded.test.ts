/** `openConnectUI()` of the official client: the protocol between the host page and the Connect UI (frontend contract §2.3, §6 C rows). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { approve, startRig, type Rig } from './rig.ts';

let rig: Rig;

beforeAll(async () => {
    rig = await startRig();
});
afterAll(() => rig?.close());

test('C18: a success is told before it is shown; finishing closes once and leaves nothing behind', async () => {
    const visit = await rig.visit();
    const { token } = await rig.session({ allowed_integrations: ['oauth'] });
    const frame = await visit.openConnectUi({ sessionToken: token });
    const popup = visit.nextWindow();
    await frame.click('button[type=submit]');
    await approve(await popup);
    await frame.getByRole('heading', { name: 'Connected' }).waitFor();
    expect((await visit.events()).map(({ type }) => type)).toEqual(['ready', 'connect']);
    await visit.close();
});
