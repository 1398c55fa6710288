import { clientParams, textOf } from './grants.ts';
import { tenantUrl, withSecondToken } from './second-microsoft-token.ts';
import type { Called, ExceptionContext, TokenException } from './token-exception.ts';

const name = 'botFrameworkAccessToken';
/** Microsoft's own tenant, which issues the tokens of bots that serve many tenants. */
const sharedBotTenant = 'botframework.com';

/** Teams bots: beside the user's Graph token one for the bot itself, from the tenant that hosts it. */
export const microsoftTeamsBot: TokenException = {
    exchange: async (given) => withBotToken(given, await given.usual()),
    refresh: async (given) => withBotToken(given, await given.usual()),
    read: (answers, context) => withSecondToken(answers, context, name),
};

async function withBotToken(given: ExceptionContext, graph: Called): Promise<Called> {
    const second = await given.attempt({
        url: tenantUrl(given.tokenUrl, textOf(given.connectionConfig['botHostTenantId']) ?? sharedBotTenant),
        form: { grant_type: 'client_credentials', ...clientParams(given), scope: 'https://api.botframework.com/.default' },
    });
    return { ...graph, further: { second } };
}
