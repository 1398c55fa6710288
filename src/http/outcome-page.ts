/** The page a popup ends on. It tells the opener and same-origin pages what happened, and a person too (frontend contract §1.9). */
import type { FastifyReply } from 'fastify';
import type { Sources } from '../sources.ts';
import type { ConnectOutcome } from '../store/schema.ts';

const closeAfterMs = 500;

export function sendOutcomePage(
    reply: FastifyReply,
    outcome: ConnectOutcome,
    options: { sources: Sources; openerOrigin: string | undefined; status?: number; back?: string },
): FastifyReply {
    const nonce = options.sources.random(16).toString('base64');
    return reply
        .code(options.status ?? (outcome.status === 'success' ? 200 : 400))
        .headers(pageHeaders(nonce))
        .send(page(outcome, nonce, messageTarget(options.openerOrigin), options.back));
}

/** For a browser that no attempt is waiting for: says one thing, tells nobody, and leads nowhere (S7). */
export function sendNoticePage(reply: FastifyReply, notice: { title: string; text: string }, options: { sources: Sources }): FastifyReply {
    const nonce = options.sources.random(16).toString('base64');
    return reply
        .code(200)
        .headers(pageHeaders(nonce))
        .send(frame({ isGood: true, title: notice.title, detail: notice.text, nonce }));
}

/** On the way to another page: neither the address of this one nor the answer is kept. */
export const leavingHeaders = { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' } as const;

/** Strict CSP with a nonce; nothing of the URL (`code`, `state`) leaves by referrer or cache (S8). No COOP: it would cut the opener off. */
const pageHeaders = (nonce: string): Record<string, string> => ({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'content-security-policy': `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
});

/** Sandboxed pages and files have the origin `null`, which cannot be posted to: the attempt would end the page's script. */
const messageTarget = (origin: string | undefined): string | undefined => (origin !== undefined && URL.canParse(origin) ? origin : undefined);

function page(outcome: ConnectOutcome, nonce: string, openerOrigin: string | undefined, back: string | undefined): string {
    const isSuccess = outcome.status === 'success';
    const [title, detail] = wordsFor(outcome);
    const code = isSuccess ? {} : { code: outcome.error?.type ?? '' };
    const message = isSuccess
        ? { type: 'nango_oauth_callback_success' }
        : { type: 'nango_oauth_callback_error', payload: { message: detail, errorType: outcome.error?.type ?? 'unknown_err' } };
    // The only window stays, and has nobody to tell.
    if (back !== undefined) {
        return frame({ isGood: isSuccess, title, detail, nonce, way: `<p><a href="${escapeHtml(back)}">Back</a></p>`, ...code });
    }
    const script = `<script nonce="${nonce}">
const message = ${inlineJson(message)};
const openerOrigin = ${inlineJson(openerOrigin ?? null)};
if (window.opener && openerOrigin) window.opener.postMessage(message, openerOrigin);
new BroadcastChannel('nango-oauth-callback').postMessage(message);
const leave = () => {
    window.close();
    // Still here: nobody but its user may close this window.
    setTimeout(() => { document.getElementById('stuck').hidden = false; }, 300);
};
const button = document.getElementById('close');
button.hidden = false;
button.addEventListener('click', leave);
window.addEventListener('message', (event) => { if (event.data && event.data.type === 'nango_oauth_callback_ack') leave(); });
${isSuccess ? `setTimeout(leave, ${closeAfterMs});` : ''}
</script>`;
    return frame({ isGood: isSuccess, title, detail, nonce, script, way: closing, ...code });
}

/** For the script, which shows what can help (frontend contract §7.39). */
const closing = `<p><button type="button" id="close" hidden>Close window</button></p>
<p id="stuck" role="status" hidden>This window cannot close itself. Please close it, and go on where you came from.</p>`;

function wordsFor(outcome: ConnectOutcome): [title: string, detail: string] {
    if (outcome.status === 'error') {
        return ['Not connected', outcome.error?.description ?? 'The connection could not be made.'];
    }
    return outcome.is_pending
        ? ['Waiting for approval', 'The installation has to be approved at the provider. You can close this window.']
        : ['Connected', 'You can close this window.'];
}

interface Frame {
    isGood: boolean;
    title: string;
    detail: string;
    nonce: string;
    /** Of a failure. */
    code?: string;
    /** What can be done here. */
    way?: string;
    /** With its element. */
    script?: string;
}

const frame = ({ isGood, title, detail, nonce, code, way, script }: Frame): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style nonce="${nonce}">
:root { color-scheme: light dark; --ink: #16181d; --quiet: #5b6270; --paper: #f4f5f7; --card: #fff; --edge: #e2e5ea; --good: #0f7b4f; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceef2; --quiet: #a3aab8; --paper: #121419; --card: #1b1e25; --edge: #2c313b; --good: #4cc38a; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 400px; padding: 32px 28px; background: var(--card); border: 1px solid var(--edge); border-radius: 14px; text-align: center; }
svg { width: 48px; height: 48px; color: var(--${isGood ? 'good' : 'bad'}); }
h1 { margin: 14px 0 6px; font-size: 20px; font-weight: 650; }
p { margin: 0; color: var(--quiet); overflow-wrap: anywhere; }
p + p { margin-top: 14px; font-size: 14px; }
code { font: 13px/1.4 ui-monospace, monospace; }
button, a { display: inline-block; padding: 9px 18px; border: 1px solid var(--edge); border-radius: 9px; background: none; color: inherit; font: inherit; text-decoration: none; cursor: pointer; }
button:hover, a:hover { border-color: currentColor; }
[hidden] { display: none; }
</style>
</head>
<body>
<main role="${isGood ? 'status' : 'alert'}">
<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="24" cy="24" r="21"/>${isGood ? '<path d="M15 25l6.5 6.5L34 18"/>' : '<path d="M17 17l14 14M31 17L17 31"/>'}</svg>
<h1>${title}</h1>
<p>${escapeHtml(detail)}</p>
${code === undefined ? '' : `<p>You can close this window and try again. <code>${escapeHtml(code)}</code></p>`}
${way ?? ''}
</main>
${script ?? ''}
</body>
</html>
`;

const escapeHtml = (text: string): string =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');

/** JSON that is safe inside a script element. */
const inlineJson = (value: unknown): string =>
    JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
