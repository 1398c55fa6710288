import { clientParams, textOf } from './grants.ts';
import { secondRefreshToken, tenantUrl, withSecondToken } from './second-microsoft-token.ts';
import type { Answer, Called, ExceptionContext, TokenException } from './token-exception.ts';

const name = 'sharepointAccessToken';
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** OneDrive and SharePoint: beside the Graph token one for the tenant's SharePoint, with a refresh token of its own. */
export const oneDrive: TokenException = {
    exchange: async (given) => withSharepoint(given, await given.usual()),
    // The Graph token first: what it rotates is then in the receipt, whatever becomes of the second call (R2).
    refresh: async (given) => withSharepoint(given, await given.usual(), given.refreshToken),
    read: (answers, context) => {
        const tenant = tenantOf(answers.main);
        const reading = withSecondToken(answers, context, name);
        return tenant === undefined ? reading : { ...reading, config: { tenantId: tenant, ...reading.config } };
    },
};

async function withSharepoint(given: ExceptionContext, graph: Called, presented?: string): Promise<Called> {
    const tenant = tenantOf(graph.answer);
    const refreshToken = secondRefreshToken(given.connectionConfig, name) ?? textOf(graph.answer['refresh_token']) ?? presented;
    // A personal account has no tenant, and its tokens no claims.
    if (tenant === undefined || refreshToken === undefined) {
        return graph;
    }
    const second = await given.attempt({
        url: tenantUrl(given.tokenUrl, tenant),
        form: {
            grant_type: 'refresh_token',
            ...clientParams(given),
            refresh_token: refreshToken,
            scope: `https://${tenant}.sharepoint.com/Sites.Read.All`,
        },
    });
    return { ...graph, further: { second } };
}

/** Read without a check of the signature: the token came from its issuer over TLS (auth-modes §17.3). */
function tenantOf(answer: Answer): string | undefined {
    const payload = textOf(answer['access_token'])?.split('.')[1];
    if (payload === undefined) {
        return undefined;
    }
    try {
        const { tid } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { tid?: unknown };
        return typeof tid === 'string' && uuid.test(tid) ? tid.toLowerCase() : undefined;
    } catch {
        return undefined;
    }
}
