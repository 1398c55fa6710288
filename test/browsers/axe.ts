/** What axe-core looks for (WCAG 2.2 AA and what it calls best practice), and what it answers. */
export const axeRules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];

export interface AxeResults {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
    passes: unknown[];
}
