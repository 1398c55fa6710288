/** INSTALL_PLUGIN: the page behind an app link, which sends the browser back with the payload it came with (auth-modes §11.4). */
import { decisionOf } from '../authorize.ts';
import type { Entry } from '../entry.ts';
import { metadataValue } from '../metadata-values.ts';
import { consentPage } from '../pages/authorization-page.ts';
import { html } from '../pages/html.ts';
import { assertMethod, required } from '../twin-request.ts';
import type { Answer, Call, Endpoint } from '../twin.ts';

/** The link is the integration's own, on whatever host. */
export const installPlugin = (entry: Entry): Endpoint[] => [
    { kind: 'install', url: 'https://${connectionConfig.appHost}', isPrefix: true, handle: (call) => install(call, entry) },
];

function install(call: Call, entry: Entry): Answer {
    const { request, world } = call;
    assertMethod(request, 'GET');
    const payload = required(Object.fromEntries(request.url.searchParams), 'payload');
    const decision = decisionOf(call);
    if (decision === undefined)
        return consentPage(call, { question: html`Install the plugin in your ${entry.display_name} workspace?`, detail: html`` });
    const callback = new URL(`${world.valetkeyUrl}/oauth/callback`);
    const metadata = Object.fromEntries((entry.redirect_uri_metadata ?? []).map((name) => [name, String(metadataValue(call, name))]));
    const outcome = decision === 'approve' ? metadata : { error: 'access_denied' };
    callback.search = new URLSearchParams({ payload, ...outcome }).toString();
    return { status: 302, headers: { location: callback.href, 'cache-control': 'no-store' }, body: '' };
}
