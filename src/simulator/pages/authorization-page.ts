/** The consent page of a twin: who asks for what, and what to answer. */
import { decisionParam, type AuthorizationRequest } from '../authorization-request.ts';
import type { Answer, Call } from '../twin.ts';
import { html, page } from './html.ts';

export function authorizationPage(call: Call, asked: AuthorizationRequest): Answer {
    const { entry } = call;
    const scopes =
        asked.scopes.length === 0
            ? html`<p class="soft">It asks for no particular scopes.</p>`
            : html`<p>It asks for:</p>
                  <ul>
                      ${asked.scopes.map((scope) => html`<li><code>${scope}</code></li>`)}
                  </ul>`;
    return consentPage(call, {
        question: html`Connect your ${entry.display_name} account?`,
        detail: html`${scopes}
            <dl>
                <dt>App</dt>
                <dd><code>${asked.clientId}</code></dd>
                <dt>Goes back to</dt>
                <dd>${new URL(asked.redirectUri).host}</dd>
                <dt>PKCE</dt>
                <dd>${asked.challenge === undefined ? 'none, as this provider has it' : 'S256'}</dd>
            </dl>`,
    });
}

/** A page with one question and two answers. */
export function consentPage(
    { entry, request, world }: Call,
    { question, detail }: { question: ReturnType<typeof html>; detail: ReturnType<typeof html> },
): Answer {
    const to = (decision: string): string => {
        const url = new URL(request.url);
        url.searchParams.set(decisionParam, decision);
        // Relative: the page stands on the simulator's host.
        return url.search;
    };
    return page({
        title: `${entry.display_name} (simulated)`,
        nonce: world.newId(),
        body: html`<main class="consent">
            <div class="card">
                <div class="tile" aria-hidden="true">${entry.display_name.slice(0, 1)}</div>
                <h1>${question}</h1>
                <p><span class="badge">simulated</span> <span class="soft">This is not ${entry.display_name}. Nothing leaves this machine.</span></p>
                ${detail}
                <div class="actions">
                    <a class="button main" id="approve" href="${to('approve')}">Approve</a>
                    <a class="button" id="deny" href="${to('deny')}">Deny</a>
                </div>
            </div>
            <p class="soft">Make the next calls fail, or see what arrived: <a href="/" target="_blank" rel="noopener">activity and faults</a></p>
        </main>`,
    });
}

/** For login pages that route by fragment, which a browser does not send. */
export function relayPage(fragmentParam: string, nonce: string): Answer {
    const script = `
const [fragment, query] = location.hash.slice(1).split('?');
if (query !== undefined) location.replace(location.pathname + '?' + query + '&${fragmentParam}=' + encodeURIComponent(fragment));
`;
    return page({
        title: 'One moment (simulated)',
        nonce,
        script,
        body: html`<main class="consent">
            <div class="card"><p>The address of this page ends in no fragment with parameters; without one nobody knows what is asked for.</p></div>
        </main>`,
    });
}
