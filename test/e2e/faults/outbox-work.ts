/** The delivery of one event, `creation`, that was committed with its connection. */
import type { Valetkey } from '../valetkey.ts';
import type { Deployment } from './deployment.ts';
import { eventLosses, grantLosses, sealedLosses, told, unfinishedWork } from './evidence.ts';
import type { Ending, Work } from './work.ts';

export function outboxWork(deployment: Deployment): Work {
    let process: Valetkey;
    const delivery = async (): Promise<{ state: string; attempts: number }> =>
        (await deployment.rows<{ state: string; attempts: number }>('select state, attempts from webhook_deliveries'))[0]!;

    return {
        outlivesOutage: true,
        reach: async () => {
            process = await deployment.start({ isHeld: true });
            await deployment.prepare(process);
            await deployment.connect(process);
            await deployment.gate.reached;
        },
        isDurable: async () => (await delivery()).state === 'delivered',
        ended: () => process.exited,
        loseAnswer: async () => {
            deployment.receiver.answer('cut');
            await deployment.until('the loss is noticed', async () => (await delivery()).attempts === 1);
        },
        timePasses: async () => {
            await deployment.endDeliveryLeases();
            await deployment.rows(`update webhook_deliveries set next_attempt_at = now() where state = 'pending'`);
        },
        finish: async (hasDied) => (hasDied ? deployment.start() : process),
        judge: async (valetkey): Promise<Ending> => {
            const losses = await eventLosses(deployment);
            const events = (await told(deployment)).map(({ operation, success }) => `${operation} ${success}`).join(', ');
            if (events !== 'creation true') losses.push(`there are the events ${events}`);
            losses.push(...(await unfinishedWork(deployment)), ...(await sealedLosses(deployment)), ...(await grantLosses(deployment, valetkey)));
            return { isFlagged: false, losses };
        },
    };
}
