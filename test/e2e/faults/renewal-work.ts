/** A renewal that falls due, carried out by the worker. */
import type { Valetkey } from '../valetkey.ts';
import type { Deployment } from './deployment.ts';
import { eventLosses, grantLosses, redemptions, sealedLosses, told, unfinishedWork, unjournalled } from './evidence.ts';
import type { Ending, Work } from './work.ts';

interface Row {
    version: number;
    auth_state: string;
    refresh_attempts: number;
    is_leased: boolean;
    has_intent: boolean;
}

/** @param hasRival whether another worker waits for the lease to run out */
export function renewalWork(deployment: Deployment, hasRival: boolean): Work {
    let process: Valetkey;
    const row = async (): Promise<Row> => {
        const [only] = await deployment.rows<Row>(`
            select credentials_version::int as version, auth_state, refresh_attempts, refresh_lease_owner is not null as is_leased, refresh_intent is not null as has_intent
            from connections`);
        return only!;
    };
    const isRenewed = async (): Promise<boolean> => (await row()).version > 1;

    return {
        outlivesOutage: true,
        reach: async () => {
            process = await deployment.start({ isHeld: true });
            await deployment.prepare(process);
            await deployment.connect(process);
            await eventLosses(deployment);
            await deployment.rows('update connections set next_refresh_at = now()');
            await deployment.gate.reached;
            if (hasRival) await deployment.start({ isReplica: true });
        },
        isDurable: isRenewed,
        ended: () => process.exited,
        loseAnswer: async () => {
            await deployment.server.loseTokenAnswer();
            await deployment.until('the loss is noticed', async () => {
                const { refresh_attempts: attempts, is_leased: isLeased } = await row();
                return attempts === 1 && !isLeased;
            });
        },
        timePasses: async () => {
            await deployment.rows(`update connections set refresh_lease_until = now() - interval '1 minute' where refresh_lease_until is not null`);
            await deployment.rows(`update connections set next_refresh_at = now() where credentials_version = 1`);
        },
        finish: async (hasDied) => {
            const living = hasDied ? await deployment.start() : process;
            await deployment.until('the renewal has an outcome', async () => {
                const { auth_state: state, has_intent: hasIntent, is_leased: isLeased } = await row();
                return !hasIntent && !isLeased && (state === 'needs_reauth' || (state === 'ok' && (await isRenewed())));
            });
            return living;
        },
        judge: async (valetkey): Promise<Ending> => {
            const isFlagged = (await row()).auth_state === 'needs_reauth';
            const losses = [...(await eventLosses(deployment)), ...(await unfinishedWork(deployment)), ...(await sealedLosses(deployment))];
            const events = (await told(deployment)).map(({ operation, success }) => `${operation} ${success}`).join(', ');
            const { redeemed, presentedAgain } = redemptions(deployment);
            const lost = await unjournalled(deployment);
            if (redeemed !== 1) losses.push(`${redeemed} refresh tokens were redeemed instead of one`);
            if (isFlagged) {
                // The window: only an answer that nobody could write down excuses a token that was presented again.
                if (lost !== 1) losses.push('the grant was given up although its newest token was in the journal');
                if (events !== 'creation true, refresh false') losses.push(`its owner was told: ${events}`);
                return { isFlagged, losses };
            }
            if (lost !== 0) losses.push('a token was redeemed whose successor is nowhere');
            if (presentedAgain !== 0) losses.push('a refresh token was presented again after it had been redeemed');
            if (events !== 'creation true') losses.push(`its owner was told: ${events}`);
            const { refresh_attempts: failures } = await row();
            if (failures !== 0) losses.push(`${failures} failures are counted, of none`);
            losses.push(...(await grantLosses(deployment, valetkey)));
            return { isFlagged, losses };
        },
    };
}
