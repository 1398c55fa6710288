/** A callback: from the used state to a stored connection, or to everybody's knowing that there is none. */
import { openCallback, startConnect } from '../user.ts';
import type { Valetkey } from '../valetkey.ts';
import type { Deployment } from './deployment.ts';
import { eventLosses, grantLosses, sealedLosses, told, unfinishedWork } from './evidence.ts';
import type { Ending, Work } from './work.ts';

interface SessionAnswer {
    data: { outcome: { status: string; error?: { type: string } } | null };
}

export function callbackWork(deployment: Deployment): Work {
    let process: Valetkey;
    let sessionToken: string;
    /** The browser's page, whatever it says. */
    let page: Promise<unknown>;
    const isFinished = async (): Promise<boolean> => (await deployment.rows('select 1 from oauth_flows where outcome is null')).length === 0;
    const isStored = async (): Promise<boolean> => (await deployment.rows('select 1 from connections')).length > 0;

    return {
        outlivesOutage: true,
        reach: async () => {
            process = await deployment.start({ isHeld: true });
            await deployment.prepare(process);
            sessionToken = await deployment.session(process);
            const { authorizationUrl, cookie } = await startConnect(process.url, 'oidc', sessionToken);
            page = openCallback(await deployment.server.authorize(authorizationUrl), cookie).catch(() => undefined);
            await deployment.gate.reached;
        },
        isDurable: isStored,
        ended: () => Promise.all([process.exited, page]),
        loseAnswer: async () => {
            await deployment.server.loseTokenAnswer();
            await page;
        },
        timePasses: async () => {
            await deployment.rows(`update oauth_flows set consumed_at = consumed_at - interval '1 hour' where outcome is null`);
            await deployment.endDeliveryLeases();
        },
        finish: async (hasDied) => {
            await page;
            // The page has been answered, so its process is done with it, whatever became of it.
            if (!hasDied && (await isFinished())) return process;
            await process.stop('SIGKILL');
            await deployment.endDeliveryLeases();
            const fresh = await deployment.start();
            await deployment.until('the attempt has an outcome', isFinished);
            return fresh;
        },
        judge: async (valetkey): Promise<Ending> => {
            const losses: string[] = [];
            const tell = async (): Promise<string> => {
                const authorization = `Bearer ${sessionToken}`;
                const read = await valetkey.call<SessionAnswer>('GET', '/connect/session', undefined, { authorization });
                const [operation] = await deployment.rows<{ state: string }>(`select state from operations where action = 'create_connection'`);
                const events = (await told(deployment)).map(({ operation: of, success }) => `${of} ${success}`);
                return `${read.body.data.outcome?.status}, ${operation?.state}, ${events.join(', ')}`;
            };
            const success = 'success, success, creation true';
            const failure = 'error, failed, creation false';
            if (!(await isStored())) {
                // Nothing half-written, everybody told, and the same session goes on.
                const heard = await tell();
                if (heard !== failure) losses.push(`session, operation and backend were told: ${heard}`);
                losses.push(...(await unfinishedWork(deployment)), ...(await eventLosses(deployment)));
                await deployment.connect(valetkey, sessionToken);
                const then = await tell();
                if (then !== 'success, success, creation false, creation true') losses.push(`after another attempt they were told: ${then}`);
            } else {
                const heard = await tell();
                if (heard !== success) losses.push(`session, operation and backend were told: ${heard}`);
            }
            losses.push(...(await eventLosses(deployment)), ...(await unfinishedWork(deployment)), ...(await sealedLosses(deployment)));
            losses.push(...(await grantLosses(deployment, valetkey)));
            return { isFlagged: false, losses };
        },
    };
}
