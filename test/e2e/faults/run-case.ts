/** One step, one fault: reach the step, let it go wrong, let somebody go on, and judge what is there. */
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultStep } from '../../../src/app.ts';
import { callbackWork } from './callback-work.ts';
import { Deployment } from './deployment.ts';
import type { Fault, Outcome } from './expected-outcomes.ts';
import { outboxWork } from './outbox-work.ts';
import { renewalWork } from './renewal-work.ts';
import { dataKeyWork, operatorKeyWork } from './rotation-work.ts';
import type { Work } from './work.ts';

const outageMs = 30_000;

export interface Verdict {
    outcome: Outcome | 'lost';
    losses: string[];
}

export async function runCase(step: FaultStep, fault: Fault): Promise<Verdict> {
    // One value is swapped, and the next one read.
    const deployment = await Deployment.open(step, step === 'value-opened' ? 2 : 1);
    try {
        const work = workAt(step, deployment, fault);
        await work.reach();
        const wasDurable = await work.isDurable();
        const hasDied = await strike(fault, deployment, work);
        const living = await work.finish(hasDied);
        const { isFlagged, losses } = await work.judge(living);
        if (fault === 'database away' && work.outlivesOutage && deployment.proxy.refused() === 0) {
            losses.push('nobody has missed the database');
        }
        if (losses.length > 0) {
            console.log(`${step}, ${fault}:\n${deployment.lastWords()}`);
            return { outcome: 'lost', losses };
        }
        return { outcome: isFlagged ? 'flagged' : wasDurable ? 'committed' : 'recovered', losses };
    } catch (error) {
        console.log(`${step}, ${fault}:\n${deployment.lastWords()}`);
        throw error;
    } finally {
        await deployment.close();
    }
}

/** Processes of a case that run at once. */
export const processesOf = (step: FaultStep, fault: Fault): number => (hasRival(step, fault) ? 2 : 1);

/** One that waits for most of its time. */
export const isLong = (fault: Fault): boolean => fault === 'database away';

/** §20.2 no. 2: another worker takes the connection for abandoned when the database comes back. */
const hasRival = (step: FaultStep, fault: Fault): boolean => step === 'answered' && fault === 'database away';

function workAt(step: FaultStep, deployment: Deployment, fault: Fault): Work {
    switch (step) {
        case 'leased':
        case 'intent-recorded':
        case 'answered':
        case 'journalled':
        case 'applied':
            return renewalWork(deployment, hasRival(step, fault));
        case 'connect-consumed':
        case 'connect-answered':
        case 'connect-committed':
            return callbackWork(deployment);
        case 'webhook-sending':
        case 'webhook-sent':
            return outboxWork(deployment);
        case 'key-made':
        case 'value-opened':
        case 'values-sealed':
            return dataKeyWork(deployment);
        case 'key-rewrapped':
            return operatorKeyWork(deployment);
    }
}

/** @returns whether the process has ended */
async function strike(fault: Fault, { proxy, gate }: Deployment, work: Work): Promise<boolean> {
    switch (fault) {
        case 'killed':
            gate.answer('die');
            await work.ended();
            await work.timePasses();
            return true;
        case 'database away':
            proxy.cut();
            gate.answer('go on');
            await delay(outageMs);
            await work.timePasses();
            proxy.restore();
            if (!work.outlivesOutage) await work.ended();
            return !work.outlivesOutage;
        case 'answer lost': {
            const noticed = work.loseAnswer!();
            gate.answer('go on');
            await noticed;
            await work.timePasses();
            return false;
        }
    }
}
