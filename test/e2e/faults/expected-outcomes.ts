/** What becomes of work that a fault cuts off, for every labelled step and every fault: the compiler asks for each. */
import type { FaultStep } from '../../../src/app.ts';

export const faults = ['killed', 'database away', 'answer lost'] as const;
export type Fault = (typeof faults)[number];

/**
 * `committed`: the effect was durable before the fault, and still is. `recovered`: finished later, or begun anew without a loss,
 * and whoever waits is told. `flagged`: `needs_reauth` and exactly one event. Anything else is a loss.
 */
export type Outcome = 'committed' | 'recovered' | 'flagged';

export interface Impossible {
    impossible: string;
}

export interface ExpectedOutcomes extends Record<Fault, Outcome | Impossible> {
    /** How far the work had come. */
    at: string;
}

const answered = { impossible: 'the answer has arrived' };
const notAsked = { impossible: 'no provider and no receiver is asked' };

export const expectedOutcomes: Record<FaultStep, ExpectedOutcomes> = {
    leased: {
        at: 'renewal: lease taken',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': 'flagged',
    },
    'intent-recorded': {
        at: 'renewal: intent recorded, token call not sent',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': 'flagged',
    },
    answered: {
        at: 'renewal: provider answered, not yet journalled',
        killed: 'flagged',
        'database away': 'recovered',
        'answer lost': answered,
    },
    journalled: {
        at: 'renewal: journalled, not yet applied',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': answered,
    },
    applied: {
        at: 'renewal: applied',
        killed: 'committed',
        'database away': 'committed',
        'answer lost': answered,
    },
    'connect-consumed': {
        at: 'callback: state used up, code not exchanged',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': 'recovered',
    },
    'connect-answered': {
        at: 'callback: provider answered, nothing stored',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': answered,
    },
    'connect-committed': {
        at: 'callback: connection stored',
        killed: 'committed',
        'database away': 'committed',
        'answer lost': answered,
    },
    'webhook-sending': {
        at: 'outbox: claimed, about to be sent',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': 'recovered',
    },
    'webhook-sent': {
        at: 'outbox: receiver answered, not yet recorded',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': answered,
    },
    'key-made': {
        at: 'data key: new one made, nothing sealed with it',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': notAsked,
    },
    'value-opened': {
        at: 'data key: a value read, its swap not written',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': notAsked,
    },
    'values-sealed': {
        at: 'data key: every value sealed with the new one',
        killed: 'committed',
        'database away': 'committed',
        'answer lost': notAsked,
    },
    'key-rewrapped': {
        at: 'operator’s key: one of the data keys wrapped anew',
        killed: 'recovered',
        'database away': 'recovered',
        'answer lost': notAsked,
    },
};

export const steps = Object.keys(expectedOutcomes) as FaultStep[];

export const isPossible = (expected: Outcome | Impossible): expected is Outcome => typeof expected === 'string';
