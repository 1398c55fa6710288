/** Steps × faults × outcome as an aligned Markdown table: what the suite prints, and what `docs/renewals.md` shows. */
import type { FaultStep } from '../../../src/app.ts';
import { expectedOutcomes, faults, isPossible, steps, type Fault } from './expected-outcomes.ts';

const titles: Record<Fault, string> = { killed: '`kill -9`', 'database away': 'database away, 30 s', 'answer lost': 'answer lost' };

export function renderTable(outcomeOf: (step: FaultStep, fault: Fault) => string): string {
    const cell = (step: FaultStep, fault: Fault): string => (isPossible(expectedOutcomes[step][fault]) ? outcomeOf(step, fault) : '–');
    const rows = [
        ['Step', 'It is at', ...faults.map((fault) => titles[fault])],
        ...steps.map((step) => [`\`${step}\``, expectedOutcomes[step].at, ...faults.map((fault) => cell(step, fault))]),
    ];
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    const line = (cells: readonly string[]): string => `| ${cells.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`;
    const [head, ...body] = rows.map(line);
    return [head, line(widths.map((width) => '-'.repeat(width))), ...body].join('\n');
}
