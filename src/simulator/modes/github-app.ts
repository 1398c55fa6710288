/** APP and CUSTOM: installation page, installation tokens for a signed app JWT, and with CUSTOM a user grant (auth-modes §12). */
import { assertAssertion } from '../assertions.ts';
import { decisionOf } from '../authorize.ts';
import { lookup, refuseCaller } from '../api.ts';
import type { Entry } from '../entry.ts';
import { consentPage } from '../pages/authorization-page.ts';
import { html } from '../pages/html.ts';
import { invalidRequest, Refusal, unauthorized } from '../refusal.ts';
import { tokenEndpoints } from '../token-endpoint.ts';
import { assertMethod, bearerToken, required } from '../twin-request.ts';
import { json, type Answer, type Call, type Endpoint } from '../twin.ts';

/** The catalogue's example: it was always there. */
const firstInstallation = 38631545;
const appJwtSeconds = 600;
const tokenSeconds = 3600;

export function githubApp(entry: Entry): Endpoint[] {
    const installations = new Set<string>([String(firstInstallation)]);
    const isCustom = entry.auth_mode === 'CUSTOM';
    const urls = typeof entry.token_url === 'object' ? entry.token_url : { APP: entry.token_url ?? '' };
    return [
        { kind: 'install', url: entry.authorization_url ?? '', handle: (call) => install(call, installations, isCustom) },
        { kind: 'login step', url: urls['APP'] ?? '', handle: (call) => installationToken(call, installations), refuse: refuseCaller },
        ...(urls['OAUTH2'] === undefined ? [] : tokenEndpoints(entry, urls['OAUTH2'])),
        {
            kind: 'lookup',
            url: 'https://api.github.com/app/installations/${connectionConfig.installation_id}',
            handle: async (call) => {
                await assertAppJwt(call);
                return json(installation(assertInstalled(call, installations)));
            },
            refuse: refuseCaller,
        },
        lookup('https://api.github.com/user/installations', () =>
            json({ total_count: installations.size, installations: [...installations].map(installation) }),
        ),
    ];
}

const installation = (id: string) => ({ id: Number(id), account: { login: 'simulated', id: 1000001, type: 'Organization' }, app_id: 123456 });

function install(call: Call, installations: Set<string>, isCustom: boolean): Answer {
    const { entry, request, world } = call;
    assertMethod(request, 'GET');
    const state = required(Object.fromEntries(request.url.searchParams), 'state');
    const [, owner] = /\/apps\/twin-([a-z0-9-]+)\//.exec(request.url.pathname) ?? [];
    if (owner !== undefined && owner !== entry.slug) throw invalidRequest('This is the page of the app of another twin.');
    const decision = decisionOf(call);
    if (decision === undefined) {
        return consentPage(call, {
            question: html`Install the app on your ${entry.display_name} account?`,
            detail: html`<dl>
                <dt>App</dt>
                <dd><code>${request.url.pathname.replace(/\/installations\/new$/, '')}</code></dd>
                <dt>Repositories</dt>
                <dd>all</dd>
            </dl>`,
        });
    }
    // The vendor keeps the callback with the app; here it is Valetkey's.
    const callback = new URL(`${world.valetkeyUrl}${isCustom ? '/oauth/callback' : '/app-auth/connect'}`);
    if (decision === 'deny') {
        callback.search = new URLSearchParams({ error: 'access_denied', error_description: 'The person said no.', state }).toString();
    } else {
        const id = String(firstInstallation + installations.size);
        installations.add(id);
        const redirectUri = `${world.valetkeyUrl}/oauth/callback`;
        const code = isCustom
            ? {
                  code: world.grants.issueCode({
                      slug: entry.slug,
                      clientId: undefined,
                      redirectUri,
                      isInstallation: true,
                      scopes: [],
                      challenge: undefined,
                      resource: undefined,
                      memory: {},
                  }),
              }
            : {};
        callback.search = new URLSearchParams({ ...code, installation_id: id, setup_action: 'install', state }).toString();
    }
    return { status: 302, headers: { location: callback.href, 'cache-control': 'no-store' }, body: '' };
}

async function assertAppJwt(call: Call): Promise<string> {
    const jwt = bearerToken(call.request);
    if (jwt === undefined) throw unauthorized('There is no app JWT.');
    const { claims } = await assertAssertion(call, jwt, { algorithms: ['RS256'], longestSeconds: appJwtSeconds, keyOf: '' }, unauthorized);
    const issuer = String(claims.iss ?? '');
    if (!/^\w[\w.-]*$/.test(issuer)) throw unauthorized('The claim "iss" must be the id of the app.');
    if (claims.iat === undefined) throw unauthorized('The claim "iat" is missing.');
    await assertAssertion(call, jwt, { algorithms: ['RS256'], longestSeconds: appJwtSeconds, keyOf: issuer }, unauthorized);
    return issuer;
}

function assertInstalled({ bindings }: Call, installations: ReadonlySet<string>): string {
    const id = bindings['connectionConfig.installation_id'] ?? '';
    if (!/^\d+$/.test(id)) throw invalidRequest('The id of an installation is a number.');
    if (!installations.has(id)) throw new Refusal(404, 'not_found', 'There is no such installation of this app.');
    return id;
}

async function installationToken(call: Call, installations: ReadonlySet<string>): Promise<Answer> {
    const { entry, request, world } = call;
    assertMethod(request, 'POST');
    const app = await assertAppJwt(call);
    const id = assertInstalled(call, installations);
    const grant = world.grants.begin({ slug: entry.slug, clientId: app, scopes: [], memory: { installation_id: id } });
    const token = world.grants.issueAccess(grant, Math.min(tokenSeconds, world.lifetimeOf(entry.slug)));
    const expiresAt = new Date(world.now() + Math.min(tokenSeconds, world.lifetimeOf(entry.slug)) * 1000).toISOString();
    return json({ token, expires_at: expiresAt, permissions: { contents: 'read', metadata: 'read' }, repository_selection: 'all' }, 201);
}
