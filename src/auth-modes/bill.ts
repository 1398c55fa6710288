/** BILL: a login for a session of 35 minutes; renewal is the same login again (auth-modes §11.2). */
import type { BillCredentials, Obtained } from '../credentials/credential.ts';
import { endsAt, shownExpiry } from '../credentials/expiry.ts';
import type { RenewalStrategy, TokenReceipt } from '../credentials/renewal-strategy.ts';
import { TokenFailure } from '../credentials/token-failure.ts';
import { submittedText, type AuthMode, type ModeContext } from './auth-mode.ts';
import { asTokenFailure, buildUrl } from './fill-template.ts';
import { loginFailureType, obtainFirstToken } from './first-token.ts';
import { hostOf, readAnswer, requestToken } from './token-endpoint.ts';

const sessionMs = 35 * 60 * 1000;
const failureType = 'invalid_credentials';

export const bill: AuthMode = {
    name: 'BILL',
    direct: {
        create: (input) => {
            const draft: BillCredentials = {
                type: 'BILL',
                username: submittedText(input, 'username'),
                password: submittedText(input, 'password'),
                organization_id: submittedText(input, 'organization_id'),
                dev_key: submittedText(input, 'dev_key'),
                session_id: '',
                user_id: '',
                expires_at: '',
                raw: {},
            };
            return obtainFirstToken(login(input), draft, loginFailureType);
        },
    },
    renewal: (context) => login(context),
};

function login(context: ModeContext): RenewalStrategy {
    const { provider, egress } = context;
    return {
        marginSeconds: provider.entry.token_expiration_buffer,
        tokenLimits: provider.entry.token_limits,
        tokenHost: () => hostOf(() => loginUrl(context)),
        canRenew: (credentials) => credentials.type === 'BILL',
        present: async (credentials, _refreshToken, deadlineMs) => {
            const { username, password, organization_id, dev_key, session_id } = credentials as BillCredentials;
            return requestToken(egress, {
                url: asTokenFailure(() => loginUrl(context), failureType),
                params: { username, password, organizationId: organization_id, devKey: dev_key },
                clientId: '',
                clientSecret: '',
                clientAuthentication: 'none',
                bodyFormat: 'json',
                deadlineMs,
                secrets: [session_id],
                failureType,
            });
        },
        interpret: (receipt, credentials) => readSession(receipt, credentials as BillCredentials),
    };
}

function loginUrl(context: ModeContext): URL {
    const { tokenUrl, displayName } = context.provider;
    if (tokenUrl === undefined) {
        throw new TokenFailure('unknown', `${displayName} has no login URL.`, { type: 'missing_token_url' });
    }
    return buildUrl(tokenUrl, context);
}

function readSession(receipt: TokenReceipt, current: BillCredentials): Obtained {
    const raw = readAnswer(receipt);
    const { sessionId, organizationId, userId } = raw;
    if (receipt.status !== 200 || typeof sessionId !== 'string' || sessionId === '') {
        throw new TokenFailure('unknown', 'The login was answered without a session.', { type: failureType });
    }
    const end = endsAt(receipt.requestedAt + sessionMs, 'assumed');
    return {
        obtainedAt: receipt.requestedAt,
        ...end,
        credentials: {
            ...current,
            organization_id: typeof organizationId === 'string' && organizationId !== '' ? organizationId : current.organization_id,
            session_id: sessionId,
            user_id: typeof userId === 'string' ? userId : '',
            ...shownExpiry(end),
            raw,
        },
    };
}
