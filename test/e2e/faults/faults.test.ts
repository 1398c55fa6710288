/**
 * Something goes wrong at every labelled step of renewal, callback, outbox and key rotation (R2, E2, W1, W3; webhooks §9 no. 8;
 * auth-modes §20.2 no. 2): `kill -9`, the database gone for 30 seconds, the answer lost. Real processes, each case on a deployment of
 * its own. What a case ends in is found out from rows and peers, then compared with `expected-outcomes.ts` and with the docs.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { FaultStep } from '../../../src/app.ts';
import { expectedOutcomes, faults, isPossible, steps, type Fault } from './expected-outcomes.ts';
import { renderTable } from './outcome-table.ts';
import { isLong, processesOf, runCase, type Verdict } from './run-case.ts';
import { Slots } from './slots.ts';

/** As many as let the outages pass at the same time, with room for the others meanwhile. An idle one takes some 130 MB. */
const processes = new Slots(14);

const possible = faults.flatMap((fault) => steps.flatMap((step) => (isPossible(expectedOutcomes[step][fault]) ? [{ step, fault }] : [])));
const nameOf = (step: FaultStep, fault: Fault): string => `${step}, ${fault}`;

const verdicts = new Map<string, Promise<Verdict>>();

/** All at once: an outage of 30 seconds is a time to do other things in. Those with one come first. */
beforeAll(() => {
    const longestFirst = possible.toSorted((a, b) => Number(isLong(b.fault)) - Number(isLong(a.fault)));
    for (const { step, fault } of longestFirst) {
        const verdict = processes.use(processesOf(step, fault), () => runCase(step, fault));
        // Its test tells of it.
        verdict.catch(() => {});
        verdicts.set(nameOf(step, fault), verdict);
    }
});

describe('a fault at every labelled step', () => {
    test.each(possible)('$step, $fault', { timeout: 300_000 }, async ({ step, fault }) => {
        const { outcome, losses } = await verdicts.get(nameOf(step, fault))!;
        expect([outcome, losses]).toEqual([expectedOutcomes[step][fault], []]);
    });

    test('the table of outcomes, as docs/renewals.md has it', async () => {
        const outcomes = new Map<string, string>();
        for (const [name, verdict] of verdicts) {
            outcomes.set(
                name,
                await verdict.then(
                    ({ outcome }) => outcome,
                    () => 'undecided',
                ),
            );
        }
        const table = renderTable((step, fault) => outcomes.get(nameOf(step, fault)) ?? 'missing');
        console.log(table);
        expect(readFileSync(join(import.meta.dirname, '../../../docs/renewals.md'), 'utf8')).toContain(table);
    });
});
