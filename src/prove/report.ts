/** What a proof prints. */
import type { CalendarOptions, CalendarResult } from './calendar.ts';
import type { ProofOptions } from './options.ts';
import type { ProofResult } from './proof.ts';
import type { UnfencedResult } from './unfenced-model.ts';

/** Whether nothing was lost that could have been kept, and no caller got what it must not. */
export function holds({ verdict, reads, redemptions }: ProofResult): boolean {
    const { lost, stuck } = verdict.fates;
    return lost + stuck + verdict.lostEvents + verdict.unmarked + reads.expired + reads.unexpected.size === 0 && redemptions.once > 0;
}

export function proofReport(options: ProofOptions, result: ProofResult, unfenced: UnfencedResult): string {
    const { redemptions, reads, verdict, events, disturbances } = result;
    const { fates } = verdict;
    const kills = disturbances.filter(({ kind }) => kind === 'killed').length;
    const unsavable = fates.unanswered + fates['died with the answer'];
    const rows: [string, string | number][] = [
        ['Processes killed / stopped for a while', `${kills} / ${disturbances.length - kills}`],
        ['Refresh tokens presented once', redemptions.once],
        ['  presented again after a refusal or a call given up, redeemed once', redemptions.retried],
        ['  presented again after they were redeemed', redemptions.replayed],
        ['Connections kept', `${fates.kept} of ${options.connections}`],
        ['  whose answer never left the provider or was cut off', fates.unanswered],
        ['  whose process died or stood still with the answer in hand', fates['died with the answer']],
        ['  LOST though the answer could have been kept', fates.lost],
        ['  STUCK though the grant lives', fates.stuck],
        ['  gone but not marked needs_reauth', verdict.unmarked],
        ['Events committed / received twice', `${events.committed} / ${events.duplicates}`],
        ['  LOST', verdict.lostEvents],
        ['Reads with a token', reads.served],
        ['  424 while a token was spent', reads.refused],
        ['  400 to a forced renewal that failed', reads.notRenewed],
        ['  interrupted by a kill', reads.interrupted],
        ['  with a token that had EXPIRED', reads.expired],
        ['  answered in any OTHER way', [...reads.unexpected].map(([status, count]) => `${count} × ${status}`).join(', ') || 0],
    ];
    const width = Math.max(...rows.map(([name]) => name.length));
    return [
        '',
        ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
        ...verdict.findings.map((finding) => `    ${finding}`),
        '',
        `  For comparison, a model of a lock with a time limit and no fencing under the same weather, ${options.connections} connections:`,
        `    ${unfenced.redemptions.replayed} refresh tokens presented again after they were redeemed, ${unfenced.lost} connections lost.`,
        '',
        unsavable === 0
            ? '  No answer was lost between the provider and the journal in this run.'
            : `  ${unsavable} connections fell into the window that no client can close (docs/renewals.md); each is marked and was told of.`,
        holds(result) ? '  It holds.' : '  It does NOT hold.',
        `  Again with this seed: valetkey prove --seed ${options.seed} --processes ${options.processes} --callers ${options.callers} --connections ${options.connections} --seconds ${options.seconds} --pace ${options.pace}`,
        '  The seed decides what is asked of the processes; how they interleave is theirs.',
        '',
        '',
    ].join('\n');
}

/** Whether years went by without a connection lost, wrongly given up, or talked about too often. */
export const calendarHolds = (calendar: CalendarResult): boolean =>
    calendar.lapsed + calendar.wronglyMarked + calendar.attemptsAfterEnd + calendar.hastyEvents + calendar.longestWithoutToken === 0 &&
    calendar.marked === calendar.withdrawn;

export const calendarReport = (options: CalendarOptions, calendar: CalendarResult): string =>
    [
        `  On a virtual clock, ${options.days} days of ${options.connections} connections, with outages of minutes to days at each provider:`,
        `    ${calendar.renewals} renewals, ${calendar.failures} failed attempts, ${calendar.events} events; at most ${calendar.busiestMinute} renewals in a minute`,
        `    ${calendar.marked} of ${calendar.withdrawn} withdrawn grants marked needs_reauth, each with an event; ${calendar.lapsed} grants lapsed unused; ${calendar.wronglyMarked} given up wrongly`,
        `    ${calendarHolds(calendar) ? 'It holds.' : 'It does NOT hold.'}`,
        '',
    ].join('\n');
