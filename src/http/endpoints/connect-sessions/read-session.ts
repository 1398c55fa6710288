/** GET /connect/session: what the Connect UI asks first, and asks again while it waits for an outcome (http-api §4.3). */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { sessionDefaults } from '../../../connect/connect-session.ts';
import { signedReturnAddress } from '../../../connect/return-state.ts';
import * as connections from '../../../store/connections.ts';
import * as integrations from '../../../store/integrations.ts';
import { connectSession } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import { ApiError, toIssues } from '../../errors.ts';
import type { Services } from '../../services.ts';
import { SessionAnswer, sessionView } from './session-view.ts';

export const readConnectSession = (services: Services) =>
    endpoint({
        method: 'GET',
        paths: ['/connect/session'],
        tag: 'Connect sessions',
        summary: 'Read what a connect session allows',
        description:
            'For the page on which your user connects an account. `outcome` tells how the last attempt ended: a page whose popup is gone asks until it changes.',
        authenticate: connectSession(services),
        access: 'connect session',
        answers: { 200: SessionAnswer },
        errors: { 400: ['invalid_json', 'invalid_body'] },
        noStore: true,
        async handle({ principal, request }) {
            await assertNoBody(request);
            const session = principal.session!;
            const defaults = await sessionDefaults(services.connect, session);
            const providers = await integrations.existingKeys(services.database.db, session.environment_id, Object.keys(defaults));
            const isMarkedSecret = (key: string, name: string): boolean =>
                services.catalogue.get(providers.get(key) ?? '')?.entry.connection_config?.[name]?.secret === true;
            const renewed = session.connection_id === null ? undefined : await connections.findById(services.database.db, session.connection_id);
            const endUser = renewed?.end_user ?? session.end_user;
            const returnTo = await signedReturnAddress(
                { ...services, db: services.database.db, publicUrl: services.config.publicUrl },
                session,
                endUser,
            );
            return sessionView(session, endUser, defaults, isMarkedSecret, services.config.websocketsPath, returnTo);
        },
    });

const longestKept = 1000;

/** The framework leaves the body of a GET unread; here one must be empty or `{}`. @throws ApiError 400 */
async function assertNoBody({ raw, headers }: FastifyRequest): Promise<void> {
    if ((headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined) {
        return;
    }
    let text = '';
    for await (const chunk of raw) {
        text += text.length < longestKept ? String(chunk) : '';
    }
    const result = z.strictObject({}).safeParse(parsed(text));
    if (!result.success) {
        throw ApiError.invalid('invalid_body', toIssues(result.error));
    }
}

function parsed(text: string): unknown {
    try {
        return JSON.parse(text === '' ? '{}' : text);
    } catch {
        throw ApiError.simple(400, 'invalid_json', 'The request body is not valid JSON.');
    }
}
