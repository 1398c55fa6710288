import { at, ask, idAt, isId, isSilence, listAt, nameOf } from './answers.ts';
import { HookFailure, type HookContext, type PostConnectionHook } from './hook.ts';

const resources = { endpoint: '/oauth/token/accessible-resources' };

/** One grant reaches several sites; the connection is for one of them. */
export const atlassian: PostConnectionHook = async (context) => {
    const site = await siteOf(context);
    if (site === undefined) {
        return {};
    }
    const accountId = await currentUser(context, site.id);
    return {
        cloudId: site.id,
        ...(site.url === undefined ? {} : { baseUrl: site.url }),
        // Of a user of an earlier grant, where this one may not say.
        accountId,
    };
};

interface Site {
    id: string;
    url?: string;
}

async function siteOf(context: HookContext): Promise<Site | undefined> {
    // An API token belongs to the site that was typed in, and may not list any.
    const typedIn = context.credentials.type === 'BASIC' ? context.connectionConfig['cloudId'] : undefined;
    if (typeof typedIn === 'string' && typedIn !== '') {
        const { status, body } = await context.call(resources);
        const url =
            status === 200 && Array.isArray(body)
                ? at(
                      body.find((site) => at(site, 'id') === typedIn),
                      'url',
                  )
                : undefined;
        return { id: typedIn, ...(typeof url === 'string' ? { url } : {}) };
    }
    const sites = listAt(await ask(context, resources), '', nameOf(resources));
    const chosen = chosenSite(sites, context.connectionConfig['subdomain']);
    if (chosen === undefined) {
        return undefined;
    }
    return { id: String(idAt(chosen, 'id', nameOf(resources))), url: String(idAt(chosen, 'url', nameOf(resources))) };
}

/** The one whose first host label is the subdomain, else whose name has it, else the first. */
function chosenSite(sites: readonly unknown[], subdomain: unknown): unknown {
    if (typeof subdomain !== 'string' || subdomain === '') {
        return sites[0];
    }
    const wanted = subdomain.toLowerCase();
    const label = wanted.split('.', 1)[0];
    const labelOf = (site: unknown): string | undefined => {
        const url = at(site, 'url');
        return typeof url === 'string' && URL.canParse(url) ? new URL(url).hostname.split('.', 1)[0] : undefined;
    };
    return sites.find((site) => labelOf(site) === label) ?? sites.find((site) => String(at(site, 'name')).toLowerCase().includes(wanted)) ?? sites[0];
}

/** A grant without the scope for it is none the worse. @throws HookFailure when it is worth asking again */
async function currentUser(context: HookContext, cloudId: string): Promise<string | number | undefined> {
    const id = encodeURIComponent(cloudId);
    const call = {
        endpoint: context.provider.name === 'confluence' ? `/ex/confluence/${id}/wiki/rest/api/user/current` : `/ex/jira/${id}/rest/api/3/myself`,
    };
    const { status, body } = await context.call(call);
    if (isSilence(status)) {
        throw new HookFailure(
            `${call.endpoint.endsWith('myself') ? 'GET /rest/api/3/myself' : 'GET /wiki/rest/api/user/current'} answered ${status}`,
        );
    }
    const found = at(body, 'accountId');
    return isId(found) ? found : undefined;
}
