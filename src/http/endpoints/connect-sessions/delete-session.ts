/** DELETE /connect/session: ends a session before its time (http-api §4.4). */
import { z } from 'zod';
import { deleteSession } from '../../../connect/connect-session.ts';
import { connectSession } from '../../authentication.ts';
import { endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';

export const deleteConnectSession = (services: Services) =>
    endpoint({
        method: 'DELETE',
        paths: ['/connect/session'],
        tag: 'Connect sessions',
        summary: 'End a connect session',
        description: 'The token is worth nothing from then on. Redirect flows that were begun with it fail when they come back.',
        authenticate: connectSession(services),
        access: 'connect session',
        answers: { 204: null },
        body: z.strictObject({}).optional(),
        async handle({ principal, reply }) {
            await deleteSession(services.connect, principal.session!);
            return reply.code(204).send();
        },
    });
