/** Figures with their targets, for people. */
export interface Figure {
    name: string;
    value: string;
    target?: string;
    isMet?: boolean;
}

export function printFigures(title: string, figures: readonly Figure[]): void {
    const rows = figures.map(({ name, value, target, isMet }) => [name, value, target ?? '', isMet === undefined ? '' : isMet ? 'met' : 'MISSED']);
    console.log(`\n${title}\n${layOut([['', 'measured', 'target', ''], ...rows])}`);
}

/** Columns of text, the first to the left and the others to the right. */
export function layOut(rows: readonly string[][]): string {
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    return rows
        .map((row) =>
            `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('   ')}`.trimEnd(),
        )
        .join('\n');
}

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
